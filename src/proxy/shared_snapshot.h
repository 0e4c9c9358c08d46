// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "config/snapshot.h"
#include "proxy/named_limit.h"
#include "proxy/route_load.h"
#include "proxy/router.h"
#include "proxy/tls_contexts.h"
#include "upstream/cluster_load.h"
#include "upstream/cluster_ring.h"
#include "upstream/endpoint_set.h"

namespace tidegate::proxy {

/// What all workers share of one configuration: immutable, but for the endpoints' atomics.
struct SharedSnapshot {
 private:
  /// What stays while discovery changes the endpoints.
  struct Configured {
    Configured(config::Snapshot snapshot, const SharedSnapshot* previous)
        : config(std::move(snapshot)),
          limits(make_limits(config.limits, previous == nullptr ? nullptr : &previous->limits,
                             std::chrono::steady_clock::now())),
          cluster_loads(
              upstream::make_loads(config, previous == nullptr ? nullptr : &previous->config,
                                   previous == nullptr ? nullptr : &previous->cluster_loads)),
          route_loads(make_loads(config.routes,
                                 previous == nullptr ? nullptr : &previous->config.routes,
                                 previous == nullptr ? nullptr : &previous->route_loads)),
          router(config) {}
    const config::Snapshot config;
    const NamedLimits limits;
    const upstream::ClusterLoads cluster_loads;
    const RouteLoads route_loads;
    const Router router;
  };
  const std::shared_ptr<const Configured> configured_;

  SharedSnapshot(std::shared_ptr<const Configured> configured, upstream::EndpointSet present,
                 TlsContexts contexts, const SharedSnapshot* previous)
      : configured_(std::move(configured)),
        config(configured_->config),
        limits(configured_->limits),
        cluster_loads(configured_->cluster_loads),
        route_loads(configured_->route_loads),
        router(configured_->router),
        endpoints(std::move(present)),
        rings(upstream::make_rings(config, endpoints,
                                   previous == nullptr ? nullptr : &previous->config,
                                   previous == nullptr ? nullptr : &previous->endpoints,
                                   previous == nullptr ? nullptr : &previous->rings)),
        tls(std::move(contexts)) {}

 public:
  /// `previous`: the one in use until now, whose counts go on where their settings are the same.
  SharedSnapshot(config::Snapshot snapshot, upstream::EndpointSet present,
                 const SharedSnapshot* previous = nullptr, TlsContexts contexts = {})
      : SharedSnapshot(std::make_shared<const Configured>(std::move(snapshot), previous),
                       std::move(present), std::move(contexts), previous) {}
  /// The same configuration with other endpoints, which discovery found.
  SharedSnapshot(const SharedSnapshot& same, upstream::EndpointSet present)
      : SharedSnapshot(same.configured_, std::move(present), same.tls, &same) {}
  /// The same configuration with certificates that were read anew.
  SharedSnapshot(const SharedSnapshot& same, TlsContexts contexts)
      : SharedSnapshot(same.configured_, same.endpoints, std::move(contexts), &same) {}

  const config::Snapshot& config;
  const NamedLimits& limits;
  const upstream::ClusterLoads& cluster_loads;
  const RouteLoads& route_loads;
  const Router& router;
  /// The control thread's newest snapshot has the present ones. A worker's has those that it began
  /// with; what has changed since, its clusters know.
  const upstream::EndpointSet endpoints;
  const upstream::ClusterRings rings;  // of `endpoints`
  const TlsContexts tls;               // empty: all is cleartext
};

}  // namespace tidegate::proxy
