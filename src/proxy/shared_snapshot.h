// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "config/snapshot.h"
#include "proxy/router.h"
#include "upstream/endpoint_set.h"

namespace tidegate::proxy {

/// What all workers share of one configuration: immutable, but for the endpoints' atomics.
struct SharedSnapshot {
  SharedSnapshot(config::Snapshot snapshot, upstream::EndpointSet resolved)
      : config(std::move(snapshot)), endpoints(std::move(resolved)), router(config) {}

  const config::Snapshot config;
  const upstream::EndpointSet endpoints;
  const Router router;
};

}  // namespace tidegate::proxy
