// SPDX-License-Identifier: Apache-2.0
#include "http/http2/priority.h"

#include "base/strings.h"

namespace tidegate::http::http2 {

uint8_t urgency_of(const Headers& headers) {
  const HeaderField* field = headers.find("priority");
  if (field == nullptr) return kDefaultUrgency;
  uint8_t urgency = kDefaultUrgency;
  for_each_element(field->value(), [&](std::string_view member) {
    if (member.size() == 3 && member.starts_with("u=") && member[2] >= '0' && member[2] <= '7') {
      urgency = static_cast<uint8_t>(member[2] - '0');
    }
    return true;
  });
  return urgency;
}

}  // namespace tidegate::http::http2
