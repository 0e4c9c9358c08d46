// SPDX-License-Identifier: Apache-2.0
#include "config/unmatchable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tidegate::config {
namespace {

constexpr std::array<std::string_view, 9> kHopByHop{
    "connection",         "http2-settings",      "keep-alive",
    "proxy-authenticate", "proxy-authorization", "proxy-authentication-info",
    "proxy-connection",   "transfer-encoding",   "upgrade"};

/// Headers that the proxy sets itself on every request.
constexpr std::array<std::string_view, 5> kOwn{
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-request-id"};

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

/// Says something about how the request came here, so it is taken from trusted proxies only.
bool is_claim(std::string_view name) {
  std::string plain(name);
  std::ranges::replace(plain, '_', '-');
  if (plain == name && contains(kOwn, plain)) return false;
  return plain == "forwarded" || plain == "x-real-ip" || plain == "x-request-id" ||
         plain.starts_with("x-forwarded-");
}

}  // namespace

std::span<const std::string_view> hop_by_hop_headers() {
  return kHopByHop;
}

std::string why_never_there(std::string_view name, std::span<const Listener* const> listeners) {
  if (contains(kHopByHop, name)) {
    return fmt::format(
        "{} concerns one connection only and is removed before routes are matched: "
        "match something else",
        name);
  }
  const bool underscore = name.find('_') != std::string_view::npos;
  const auto keeps = [](const Listener* one) { return one->underscores_in_headers; };
  if (underscore && std::ranges::none_of(listeners, keeps)) {
    return fmt::format(
        "{} could match nothing, since headers with '_' in their name are dropped: "
        "set underscores_in_headers: true at the listener",
        name);
  }
  const auto trusts = [](const Listener* one) {
    return one->trust_unix || !one->trusted_proxies.empty();
  };
  if (is_claim(name) && std::ranges::none_of(listeners, trusts)) {
    return fmt::format(
        "{} could match nothing, since it is believed from trusted_proxies only and "
        "the listener has none",
        name);
  }
  return {};
}

}  // namespace tidegate::config
