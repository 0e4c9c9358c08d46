// SPDX-License-Identifier: Apache-2.0
#include "upstream/endpoint_set.h"

#include <cstring>

namespace tidegate::upstream {
namespace {

std::string authority_of(const config::Endpoint& endpoint) {
  const std::string full = endpoint.address.to_string();
  if (endpoint.address.is_unix) return "localhost";
  const uint16_t standard = endpoint.scheme == "https" ? 443 : 80;
  return endpoint.address.port == standard ? full.substr(0, full.rfind(':')) : full;
}

bool same_addresses(const std::vector<net::SocketAddress>& a,
                    const std::vector<net::SocketAddress>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].to_string() != b[i].to_string()) return false;
  }
  return true;
}

Fallible<std::vector<net::SocketAddress>> addresses_of(const config::Address& address) {
  if (!address.is_unix) return net::SocketAddress::resolve(address.host, address.port);
  return net::SocketAddress::from_unix_path(address.host).map([](const net::SocketAddress& one) {
    return std::vector{one};
  });
}

bool same_settings(const config::Endpoint& a, const config::Endpoint& b) {
  return a.url == b.url && a.weight == b.weight && a.tags == b.tags;
}

std::shared_ptr<Endpoint> find_previous(const std::vector<std::shared_ptr<Endpoint>>* among,
                                        const config::Endpoint& wanted,
                                        const std::vector<net::SocketAddress>& addresses) {
  if (among == nullptr) return nullptr;
  for (const auto& endpoint : *among) {
    if (same_settings(endpoint->config, wanted) && same_addresses(endpoint->resolved, addresses)) {
      return endpoint;
    }
  }
  return nullptr;
}

const std::vector<std::shared_ptr<Endpoint>>* cluster_of(const config::Snapshot* snapshot,
                                                         const EndpointSet* set,
                                                         const std::string& name) {
  if (snapshot == nullptr) return nullptr;
  for (size_t i = 0; i < snapshot->clusters.size(); ++i) {
    if (snapshot->clusters[i].name == name) return &(*set)[i];
  }
  return nullptr;
}

}  // namespace

EndpointSet resolve_endpoints(const config::Snapshot& snapshot, const config::Snapshot* previous,
                              const EndpointSet* previous_set, std::vector<std::string>& errors) {
  EndpointSet set;
  for (const config::Cluster& cluster : snapshot.clusters) {
    const auto* before = cluster_of(previous, previous_set, cluster.name);
    auto& members = set.emplace_back();
    for (const config::Endpoint& wanted : cluster.endpoints) {
      auto addresses = addresses_of(wanted.address);
      if (!addresses) {
        errors.push_back(wanted.origin.file + ":" + std::to_string(wanted.origin.line) + ": " +
                         addresses.error());
        continue;
      }
      auto endpoint = find_previous(before, wanted, *addresses);
      if (endpoint == nullptr) {
        endpoint = std::make_shared<Endpoint>();
        endpoint->config = wanted;
        endpoint->address = wanted.address.to_string();
        endpoint->authority = authority_of(wanted);
        endpoint->resolved = std::move(*addresses);
      }
      members.push_back(std::move(endpoint));
    }
  }
  return set;
}

}  // namespace tidegate::upstream
