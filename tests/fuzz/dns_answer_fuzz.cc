// SPDX-License-Identifier: Apache-2.0
// The input is a DNS message. Whatever it is, it is read or refused: the reading ends, names stay
// within their limit, and there are no more records than the message has room for.
#include <string>

#include "fuzz/require.h"
#include "net/dns_answer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidegate::net;
  using tidegate::fuzz::require;
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  for (const auto type : {DnsRecordType::A, DnsRecordType::Aaaa, DnsRecordType::Srv}) {
    const auto answer = parse_dns_answer(message, type);
    if (!answer) continue;
    require(answer->addresses.size() * 15 <= size, "an address takes its bytes");
    require(answer->services.size() * 18 <= size, "a service takes its bytes");
    for (const DnsService& service : answer->services) {
      require(service.target.size() <= 255, "a name is bounded");
    }
  }
  return 0;
}
