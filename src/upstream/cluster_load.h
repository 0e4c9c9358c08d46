// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/counters.h"
#include "config/snapshot.h"
#include "upstream/adaptive_limit.h"
#include "upstream/retry_budget.h"

namespace tidegate::upstream {

/// What all workers together have under way at one cluster, and how much that may be. Outlives
/// reloads for as long as there is a cluster of that name, so that requests under way stay counted.
struct ClusterLoad {
  uint64_t active = 0;                      // exchanges; counted only where a limit asks for it
  uint64_t retrying = 0;                    // those of them that are at a retry beyond `retries`
  RetryBudget retries;                      // counted only where the cluster retries
  std::shared_ptr<AdaptiveLimit> adaptive;  // nullptr: off

  /// Concurrent requests allowed at present; 0: any number.
  uint64_t limit(const config::ClusterLimits& limits) const {
    if (adaptive == nullptr) return limits.max_requests;
    const uint64_t found = adaptive->limit();
    return limits.max_requests == 0 ? found : std::min<uint64_t>(found, limits.max_requests);
  }
};

/// One for each cluster of a snapshot, in its order.
using ClusterLoads = std::vector<std::shared_ptr<ClusterLoad>>;

ClusterLoads make_loads(const config::Snapshot& snapshot, const config::Snapshot* previous,
                        const ClusterLoads* previous_loads);

}  // namespace tidegate::upstream
