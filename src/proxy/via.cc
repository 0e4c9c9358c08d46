// SPDX-License-Identifier: Apache-2.0
#include "proxy/via.h"

#include <fmt/format.h>

#include <random>
#include <string>

#include "base/strings.h"

namespace tidegate::proxy {
namespace {

using http::HeaderId;

const std::string& own_name() {
  static const std::string kName = [] {
    std::random_device random;
    return fmt::format("tidegate-{:08x}{:08x}", random(), random());
  }();
  return kName;
}

/// received-protocol RWS received-by [RWS comment]
bool names_this(std::string_view element) {
  const size_t space = element.find_first_of(" \t");
  if (space == std::string_view::npos) return false;
  const std::string_view rest = trim(element.substr(space));
  return iequals(rest.substr(0, rest.find_first_of(" \t")), own_name());
}

void add(http::Headers& headers, http::Version version) {
  std::string_view protocol = "1.1 ";
  if (version == http::Version::Http10) protocol = "1.0 ";
  if (version == http::Version::Http2) protocol = "2.0 ";
  headers.add(HeaderId::Via, headers.arena().join(protocol, own_name()));
}

}  // namespace

bool came_through_here(const http::RequestHead& head) {
  if (!head.headers.has(HeaderId::Via)) return false;
  for (const http::HeaderField& field : head.headers) {
    if (field.id() != HeaderId::Via) continue;
    const bool others = for_each_element(
        field.value(), [](std::string_view element) { return !names_this(element); });
    if (!others) return true;
  }
  return false;
}

void add_via(http::RequestHead& head) {
  add(head.headers, head.version);
}

void add_via(http::ResponseHead& head) {
  add(head.headers, head.version);
}

}  // namespace tidegate::proxy
