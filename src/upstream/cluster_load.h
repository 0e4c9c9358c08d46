// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/counters.h"
#include "config/snapshot.h"
#include "upstream/adaptive_limit.h"
#include "upstream/retry_budget.h"

namespace tidegate::upstream {

/// What all workers together have under way at one cluster, and how much that may be. Outlives
/// reloads for as long as there is a cluster of that name, so that requests under way stay counted.
struct ClusterLoad {
  uint64_t active = 0;                      // exchanges; counted only with `max_requests`
  uint64_t unanswered = 0;                  // those without a response; only with `adaptive`
  uint64_t retrying = 0;                    // those of them that are at a retry beyond `retries`
  RetryBudget retries;                      // counted only where the cluster retries
  std::shared_ptr<AdaptiveLimit> adaptive;  // nullptr: off

  /// The counts that a request stands in, each to be given back; nullptr: it needs none.
  struct Places {
    uint64_t* active = nullptr;
    uint64_t* unanswered = nullptr;
  };
  /// Nothing: there are as many as there may be. What goes by the time to the response counts what
  /// waits for it: streams and tunnels that have begun are no load of that kind, and would keep
  /// everybody out while nothing is measured.
  std::optional<Places> enter(const config::ClusterLimits& limits) {
    Places taken;
    if (limits.max_requests > 0) {
      if (!take_place(active, limits.max_requests)) return std::nullopt;
      taken.active = &active;
    }
    if (adaptive == nullptr) return taken;
    if (!take_place(unanswered, adaptive->limit())) {
      if (taken.active != nullptr) give_place_back(active);
      return std::nullopt;
    }
    taken.unanswered = &unanswered;
    return taken;
  }
};

/// One for each cluster of a snapshot, in its order.
using ClusterLoads = std::vector<std::shared_ptr<ClusterLoad>>;

ClusterLoads make_loads(const config::Snapshot& snapshot, const config::Snapshot* previous,
                        const ClusterLoads* previous_loads);

}  // namespace tidegate::upstream
