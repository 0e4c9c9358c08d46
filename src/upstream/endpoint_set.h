// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "config/snapshot.h"
#include "upstream/endpoint.h"

namespace tidegate::upstream {

/// An endpoint among those of a cluster.
struct ListedEndpoint {
  std::shared_ptr<Endpoint> endpoint;
  std::shared_ptr<const EndpointSettings> settings;
  Endpoint* operator->() const { return endpoint.get(); }
  Endpoint& operator*() const { return *endpoint; }
  bool operator==(const ListedEndpoint& other) const {
    return endpoint == other.endpoint && *settings == *other.settings;
  }
};

/// The endpoints of one cluster; shared by the workers.
using Endpoints = std::vector<ListedEndpoint>;
/// Those of all clusters of one snapshot, in its order.
using EndpointSet = std::vector<Endpoints>;

/// What an endpoint is made from.
struct EndpointSpec {
  config::Endpoint config;
  std::vector<net::SocketAddress> resolved;    // empty: its name does not resolve, so it is down
  std::optional<net::SocketAddress> fallback;  // see Endpoint
  std::string host;                            // the origin's name; empty: that in `config`
  std::string certified_name;                  // what its certificate must be for; empty: `host`
  std::optional<config::OutboundProxy> proxy;  // then `resolved` is where it is
  bool tunnelled = false;
};

/// Endpoints for these, in their order. One that `previous` has with the same name and addresses is
/// taken over with its state, whatever its weight and tags were, and with the new fallback.
Endpoints make_endpoints(std::vector<EndpointSpec> wanted, const Endpoints* previous);

/// Begins the slow start of those that `before` does not have, unless all are new.
void warm_up(const Endpoints& endpoints, const Endpoints& before, TimePoint now);

}  // namespace tidegate::upstream
