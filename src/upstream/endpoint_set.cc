// SPDX-License-Identifier: Apache-2.0
#include "upstream/endpoint_set.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "net/tls_client_context.h"

namespace tidegate::upstream {
namespace {

std::string authority_of(const config::Endpoint& endpoint, const std::string& host) {
  if (endpoint.address.is_unix) return "localhost";
  config::Address named = endpoint.address;
  if (!host.empty()) named.host = host;
  const std::string full = named.to_string();
  const uint16_t standard = endpoint.scheme == "https" ? 443 : 80;
  return named.port == standard ? full.substr(0, full.rfind(':')) : full;
}

/// In whatever order: name servers turn theirs.
bool same_addresses(const std::vector<net::SocketAddress>& a,
                    const std::vector<net::SocketAddress>& b) {
  if (a.size() != b.size()) return false;
  const auto texts = [](const std::vector<net::SocketAddress>& addresses) {
    std::vector<std::string> sorted;
    for (const net::SocketAddress& one : addresses) sorted.push_back(one.to_string());
    std::ranges::sort(sorted);
    return sorted;
  };
  return a.size() == 1 ? a[0].to_string() == b[0].to_string() : texts(a) == texts(b);
}

const std::string& host_of(const EndpointSpec& spec) {
  return spec.host.empty() ? spec.config.address.host : spec.host;
}

// TLS carries names without the dot that a full one may end with (RFC 6066 3), as certificates do.
std::string certified_name_of(const EndpointSpec& spec) {
  std::string name = spec.certified_name.empty() ? host_of(spec) : spec.certified_name;
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool fits(const Endpoint& endpoint, const EndpointSpec& wanted, const std::string& authority) {
  return endpoint.authority == authority && endpoint.certified_name == certified_name_of(wanted) &&
         endpoint.proxy == wanted.proxy && endpoint.tunnelled == wanted.tunnelled &&
         same_addresses(endpoint.resolved, wanted.resolved);
}

}  // namespace

Endpoints make_endpoints(std::vector<EndpointSpec> wanted, const Endpoints* previous) {
  // By URL, so that a large cluster is not compared with all of itself.
  std::unordered_multimap<std::string_view, const ListedEndpoint*> known;
  if (previous != nullptr) {
    for (const ListedEndpoint& endpoint : *previous) known.emplace(endpoint->config.url, &endpoint);
  }
  Endpoints made;
  made.reserve(wanted.size());
  for (EndpointSpec& spec : wanted) {
    std::string authority = authority_of(spec.config, spec.host);
    auto [at, end] = known.equal_range(spec.config.url);
    while (at != end && !fits(**at->second, spec, authority)) ++at;
    const bool stays = at != end;
    EndpointSettings settings{spec.config.weight, std::move(spec.config.tags)};
    ListedEndpoint& listed = made.emplace_back(stays ? *at->second : ListedEndpoint{});
    if (!stays || settings != *listed.settings) {
      listed.settings = std::make_shared<const EndpointSettings>(std::move(settings));
    }
    if (stays) {
      listed->fallback.set(spec.fallback);
      continue;
    }
    // Here, off the workers, rather than when one of them first connects.
    if (spec.config.scheme == "https") net::TlsClientContext::load_system_certificates();
    auto& endpoint = listed.endpoint = std::make_shared<Endpoint>();
    endpoint->address = spec.config.address.to_string();
    endpoint->host = host_of(spec);
    endpoint->certified_name = certified_name_of(spec);
    endpoint->authority = std::move(authority);
    endpoint->config = {std::move(spec.config.url), std::move(spec.config.scheme),
                        std::move(spec.config.address)};
    endpoint->resolved = std::move(spec.resolved);
    endpoint->fallback.set(spec.fallback);
    if (endpoint->resolved.empty()) endpoint->healthy = false;
    endpoint->proxy = std::move(spec.proxy);
    endpoint->tunnelled = spec.tunnelled;
  }
  return made;
}

void warm_up(const Endpoints& endpoints, const Endpoints& before, TimePoint now) {
  if (before.empty()) return;
  std::unordered_set<const Endpoint*> known;
  for (const ListedEndpoint& listed : before) known.insert(listed.endpoint.get());
  for (const ListedEndpoint& listed : endpoints) {
    if (!known.contains(listed.endpoint.get())) listed->begin_slow_start(now);
  }
}

}  // namespace tidegate::upstream
