// SPDX-License-Identifier: Apache-2.0
#include "config/outbound_proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "config/overlay.h"
#include "config/values.h"

namespace tidegate::config {
namespace {

constexpr std::string_view kEnvironment = "environment";

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i) {
      group = group << 8 | (at + i < bytes.size() ? static_cast<uint8_t>(bytes[at + i]) : 0);
    }
    for (size_t i = 0; i < 4; ++i) {
      const bool padding = at + i > bytes.size();
      text.push_back(padding ? '=' : kDigits[group >> (18 - 6 * i) & 63]);
    }
  }
  return text;
}

Fallible<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return tl::unexpected(std::string("a wrong escape in the user"));
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

/// A variable in lower case, or in upper case.
std::optional<std::pair<std::string, std::string>> find_variable(const Environment& environment,
                                                                 const std::string& lower) {
  std::string upper = lower;
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  for (const std::string& name : {lower, upper}) {
    auto value = environment(name);
    if (value && !value->empty()) return std::pair(name, *value);
  }
  return std::nullopt;
}

Error at_variable(const std::string& name, const std::string& message) {
  return {Mark{std::make_shared<const std::string>(name), 0, 0}, "", message};
}

Error at_path(const Reader& reader, const std::string& path, const std::string& message) {
  const auto found = reader.positions().find(path);
  return {found == reader.positions().end() ? Mark() : found->second.value, path, message};
}

std::optional<OutboundProxy> from_variable(const Environment& environment, const std::string& name,
                                           Errors& errors) {
  const auto variable = find_variable(environment, name);
  if (!variable) return std::nullopt;
  std::string url = variable->second;
  if (url.find("://") == std::string::npos) url.insert(0, "http://");
  auto proxy = parse_outbound_proxy(url);
  if (proxy) return std::move(*proxy);
  errors.push_back(at_variable(variable->first, proxy.error()));
  return std::nullopt;
}

// Others read the variable too, and some of them know forms that are not known here.
void add_no_proxy_of_environment(Cluster& cluster, const Environment& environment,
                                 std::vector<std::string>& warnings) {
  const auto variable = find_variable(environment, "no_proxy");
  if (!variable) return;
  std::string list = variable->second;
  std::ranges::replace(list, ' ', ',');
  for (const std::string& entry : split_list(list)) {
    const auto added = cluster.direct.add(entry);
    if (added) continue;
    std::string warning = variable->first + ": passed over: " + added.error();
    if (std::ranges::find(warnings, warning) == warnings.end()) {
      warnings.push_back(std::move(warning));
    }
  }
}

}  // namespace

Fallible<OutboundProxy> parse_outbound_proxy(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  // Never with the URL in the message: it may hold a password.
  const auto wrong = [](const std::string& why) {
    return tl::unexpected("expected a proxy such as http://user:password@proxy:3128" + why);
  };
  if (url.starts_with("https://")) {
    return tl::unexpected(not_available("TLS towards an outbound proxy"));
  }
  if (!url.starts_with(kScheme)) return wrong(": the scheme must be http");
  std::string_view rest = url.substr(kScheme.size());
  OutboundProxy proxy;
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    auto user = percent_decoded(rest.substr(0, at));
    if (!user) return wrong(": " + user.error());
    if (user->find(':') == std::string::npos) user->push_back(':');
    proxy.authorization = "Basic " + base64(*user);
    rest.remove_prefix(at + 1);
  }
  const auto target = parse_origin_url(std::string(kScheme) + std::string(rest));
  if (!target || target->address.is_unix) return wrong("");
  proxy.address = target->address;
  return proxy;
}

void resolve_outbound_proxies(Snapshot& snapshot, const Environment& environment,
                              const Reader& reader, Errors& errors) {
  for (Cluster& cluster : snapshot.clusters) {
    if (cluster.outbound_proxy.empty()) continue;
    const std::string path = "clusters." + cluster.name;
    if (cluster.outbound_proxy == kEnvironment) {
      cluster.http_proxy = from_variable(environment, "http_proxy", errors);
      cluster.https_proxy = from_variable(environment, "https_proxy", errors);
    } else if (auto proxy = parse_outbound_proxy(cluster.outbound_proxy)) {
      cluster.http_proxy = cluster.https_proxy = std::move(*proxy);
    } else {
      errors.push_back(at_path(reader, path + ".outbound_proxy", proxy.error()));
    }
    for (size_t i = 0; i < cluster.no_proxy.size(); ++i) {
      if (auto added = cluster.direct.add(cluster.no_proxy[i]); !added) {
        errors.push_back(at_path(reader, fmt::format("{}.no_proxy[{}]", path, i), added.error()));
      }
    }
    const bool given = reader.positions().contains(path + ".no_proxy");
    if (!given) add_no_proxy_of_environment(cluster, environment, snapshot.warnings);
    if (cluster.dns) {
      errors.push_back(at_path(reader, path + ".outbound_proxy",
                               "is not for a cluster with dns: name the hosts under endpoints, and "
                               "the proxy looks them up"));
    }
  }
}

const OutboundProxy* outbound_proxy_for(const Cluster& cluster, const Endpoint& endpoint) {
  if (endpoint.address.is_unix) return nullptr;
  const auto& proxy = endpoint.scheme == "https" ? cluster.https_proxy : cluster.http_proxy;
  if (!proxy || cluster.direct.matches(endpoint.address.host, endpoint.address.port)) {
    return nullptr;
  }
  return &*proxy;
}

}  // namespace tidegate::config
