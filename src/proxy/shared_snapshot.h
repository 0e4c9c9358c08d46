// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "config/snapshot.h"
#include "proxy/named_limit.h"
#include "proxy/router.h"
#include "upstream/endpoint_set.h"

namespace tidegate::proxy {

/// What all workers share of one configuration: immutable, but for the endpoints' atomics.
struct SharedSnapshot {
  /// `previous`: the one in use until now, whose counts go on where their settings are the same.
  SharedSnapshot(config::Snapshot snapshot, upstream::EndpointSet resolved,
                 const SharedSnapshot* previous = nullptr)
      : config(std::move(snapshot)),
        endpoints(std::move(resolved)),
        limits(make_limits(config.limits, previous == nullptr ? nullptr : &previous->limits,
                           std::chrono::steady_clock::now())),
        router(config) {}

  const config::Snapshot config;
  const upstream::EndpointSet endpoints;
  const NamedLimits limits;
  const Router router;
};

}  // namespace tidegate::proxy
