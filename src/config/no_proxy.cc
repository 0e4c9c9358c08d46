// SPDX-License-Identifier: Apache-2.0
#include "config/no_proxy.h"

#include <algorithm>

#include "base/strings.h"
#include "config/values.h"

namespace tidegate::config {
namespace {

/// Splits a port off; what an IPv6 address or its block looks like has none, unless in brackets.
Fallible<uint16_t> take_port(std::string_view& host) {
  constexpr uint64_t kMaxPort = 65535;
  const size_t bracket = host.rfind(']');
  const size_t colon = host.rfind(':');
  const bool bare_v6 = bracket == std::string_view::npos && host.find(':') != colon;
  if (colon == std::string_view::npos || bare_v6) return uint16_t{0};
  if (bracket != std::string_view::npos && colon < bracket) return uint16_t{0};
  const auto port = parse_decimal(host.substr(colon + 1), kMaxPort);
  if (!port || *port == 0) return tl::unexpected(std::string("not a port"));
  host = host.substr(0, colon);
  return static_cast<uint16_t>(*port);
}

}  // namespace

Fallible<void> NoProxy::add(std::string_view entry) {
  const auto wrong = [entry] {
    return tl::unexpected(
        "expected a host, .suffix, address or CIDR block, with or without :port, or *, got '" +
        std::string(entry) + "'");
  };
  if (entry == "*") {
    all_ = true;
    return {};
  }
  std::string_view host = entry;
  const auto port = take_port(host);
  if (!port) return wrong();
  Entry made;
  made.port = *port;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (auto block = Cidr::parse(host)) {
    made.block = *block;
  } else {
    if (host.starts_with("*.")) host.remove_prefix(1);
    if (host.starts_with('.')) host.remove_prefix(1);
    auto name = parse_host(host, false);
    if (!name) return wrong();
    made.name = std::move(*name);
  }
  entries_.push_back(std::move(made));
  return {};
}

bool NoProxy::matches(std::string_view host, uint16_t port) const {
  if (all_) return true;
  if (host.ends_with('.')) host.remove_suffix(1);
  const auto ip = IpAddress::parse(host);
  return std::ranges::any_of(entries_, [&](const Entry& entry) {
    if (entry.port != 0 && entry.port != port) return false;
    if (entry.block) return ip && entry.block->contains(*ip);
    if (ip || !host.ends_with(entry.name)) return false;
    const size_t rest = host.size() - entry.name.size();
    return rest == 0 || host[rest - 1] == '.';
  });
}

}  // namespace tidegate::config
