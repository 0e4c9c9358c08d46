// SPDX-License-Identifier: Apache-2.0
#include "upstream/resolution.h"

#include <algorithm>

#include "config/outbound_proxy.h"

namespace tidegate::upstream {
namespace {

std::vector<net::SocketAddress> addresses_of(const config::Address& address, Names& names) {
  std::vector<net::SocketAddress> addresses;
  if (address.is_unix) {
    // The path's length was checked with the configuration.
    if (const auto one = net::SocketAddress::from_unix_path(address.host)) addresses = {*one};
    return addresses;
  }
  for (const IpAddress& ip : names.addresses_of(address.host)) {
    addresses.push_back(net::SocketAddress::from_ip(ip, address.port));
  }
  return addresses;
}

/// What a connection is made to.
const config::Address& dialled(const Endpoint& endpoint) {
  return endpoint.proxy ? endpoint.proxy->address : endpoint.config.address;
}

bool is_name(const config::Address& address) {
  return !address.is_unix && !IpAddress::parse(address.host);
}

const Endpoints* cluster_of(const config::Snapshot* snapshot, const EndpointSet* set,
                            const std::string& name) {
  if (snapshot == nullptr) return nullptr;
  const auto at = std::ranges::find(snapshot->clusters, name, &config::Cluster::name);
  if (at == snapshot->clusters.end()) return nullptr;
  return &(*set)[static_cast<size_t>(at - snapshot->clusters.begin())];
}

}  // namespace

std::vector<EndpointSpec> resolve_names(const config::Cluster& cluster,
                                        const std::vector<config::Endpoint>& endpoints,
                                        Names& names) {
  std::vector<EndpointSpec> specs;
  specs.reserve(endpoints.size());
  for (const config::Endpoint& endpoint : endpoints) {
    const config::OutboundProxy* proxy = config::outbound_proxy_for(cluster, endpoint);
    EndpointSpec& spec = specs.emplace_back();
    spec.config = endpoint;
    spec.resolved = addresses_of(proxy == nullptr ? endpoint.address : proxy->address, names);
    if (proxy == nullptr) continue;
    spec.proxy = *proxy;
    // In absolute form HTTP/2 is not spoken with proxies.
    spec.tunnelled = endpoint.scheme == "https" || cluster.outbound_tunnel ||
                     cluster.protocol == "h2" ||
                     cluster.proxy_protocol != 0;  // whose header is for the origin
  }
  return specs;
}

void ask_for_names(const config::Snapshot& snapshot, Names& names) {
  for (const config::Cluster& cluster : snapshot.clusters) {
    (void)resolve_names(cluster, cluster.endpoints, names);
  }
}

std::set<std::string> names_of(const EndpointSet& set) {
  std::set<std::string> names;
  for (const Endpoints& endpoints : set) {
    for (const ListedEndpoint& one : endpoints) {
      if (is_name(dialled(*one))) names.insert(dialled(*one).host);
    }
  }
  return names;
}

std::vector<EndpointSpec> moved(const Endpoints& endpoints, const std::set<std::string>& changed,
                                Names& names) {
  // Literal addresses are not among the names that change.
  const auto moves = [&](const ListedEndpoint& one) {
    return !dialled(*one).is_unix && changed.contains(dialled(*one).host);
  };
  // Most clusters have none of them: nothing is copied before that is known.
  if (std::ranges::none_of(endpoints, moves)) return {};
  std::vector<EndpointSpec> specs;
  specs.reserve(endpoints.size());
  for (const ListedEndpoint& one : endpoints) {
    EndpointSpec& spec = specs.emplace_back();
    spec.config = {one->config.url,      one->config.scheme, one->config.address,
                   one.settings->weight, one.settings->tags, {}};
    spec.fallback = one->fallback.get();
    spec.host = one->host;
    spec.certified_name = one->certified_name;
    spec.proxy = one->proxy;
    spec.tunnelled = one->tunnelled;
    spec.resolved = moves(one) ? addresses_of(dialled(*one), names) : one->resolved;
  }
  return specs;
}

EndpointSet resolve_endpoints(const config::Snapshot& snapshot, const config::Snapshot* previous,
                              const EndpointSet* previous_set, Names& names) {
  EndpointSet set;
  for (const config::Cluster& cluster : snapshot.clusters) {
    const Endpoints* before = cluster_of(previous, previous_set, cluster.name);
    if (cluster.dns) {
      set.push_back(before == nullptr ? Endpoints() : *before);
    } else {
      set.push_back(make_endpoints(resolve_names(cluster, cluster.endpoints, names), before));
    }
    const TimePoint now = std::chrono::steady_clock::now();
    if (before != nullptr) warm_up(set.back(), *before, now);
    if (cluster.breaker) continue;
    for (const auto& endpoint : set.back()) endpoint->reset_breaker(now);
  }
  return set;
}

}  // namespace tidegate::upstream
