// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "upstream/endpoint.h"

namespace tidegate::upstream {

/// What a balancer may look at beside its endpoints.
struct PickContext {
  std::span<const Endpoint* const> tried;  // by earlier attempts of this exchange; avoided if possible
};

/// Picks an endpoint of one cluster. One object per cluster and worker, in that worker's thread.
/// Another balancer is one file and one line in balancer.cc.
class Balancer {
 public:
  virtual ~Balancer() = default;
  /// Index into the endpoints it was made with, of one for which `available()` holds, or -1.
  virtual int pick(const PickContext& context) = 0;
};

using BalancerFactory = std::unique_ptr<Balancer> (*)(std::vector<Endpoint*> endpoints);

/// nullptr: no balancer of that name.
BalancerFactory find_balancer(std::string_view name);

/// True if `endpoint` can be picked in `context`, with `avoid_tried` or as a last resort.
inline bool eligible(const Endpoint& endpoint, const PickContext& context, bool avoid_tried) {
  if (!endpoint.available()) return false;
  if (!avoid_tried) return true;
  for (const Endpoint* tried : context.tried) {
    if (tried == &endpoint) return false;
  }
  return true;
}

}  // namespace tidegate::upstream
