// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"

namespace tidegate::net {

/// What a DNS message may be asked for (RFC 1035 3.2.2, RFC 3596, RFC 2782).
enum class DnsRecordType : uint16_t { A = 1, Aaaa = 28, Srv = 33 };

struct DnsService {
  std::string target;  // without a dot at the end; empty: there is no such service
  uint16_t port = 0;
  uint16_t priority = 0;
  uint16_t weight = 0;
};

/// The records of one type among a message's answers.
struct DnsAnswer {
  std::vector<IpAddress> addresses;  // of A or AAAA
  std::vector<DnsService> services;  // of SRV
  uint32_t ttl = 0;                  // seconds; the least of all answers, aliases among them
};

/// Reads the answers of a whole DNS message (RFC 1035 4.1). Nothing: it is malformed. Pure.
std::optional<DnsAnswer> parse_dns_answer(std::string_view message, DnsRecordType type);

}  // namespace tidegate::net
