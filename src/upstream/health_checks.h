// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/arena.h"
#include "base/random.h"
#include "base/timers.h"
#include "config/snapshot.h"
#include "net/event_loop.h"
#include "telemetry/registry.h"
#include "upstream/check_queue.h"
#include "upstream/endpoint_set.h"
#include "upstream/pool.h"

namespace tidegate::upstream {

class EndpointCheck;

/// How connections to an endpoint of the cluster with that index are made.
using ConnectionSettings = std::function<Pool::Settings(size_t cluster, const Endpoint& endpoint)>;

/// The active health checks of all clusters, once per process: in the control thread's loop. What
/// they find stands in the endpoints, where all workers see it.
class HealthChecks {
 public:
  /// `cells`: for their results. `connection_cells`: for their connections, which are no traffic.
  HealthChecks(net::EventLoop& loop, telemetry::Shard& cells, telemetry::Shard& connection_cells);
  HealthChecks(const HealthChecks&) = delete;
  HealthChecks& operator=(const HealthChecks&) = delete;
  ~HealthChecks();

  /// These are the endpoints in use now. Checks of new ones begin at once, or within an interval if
  /// there are many; of those that have left they end; where neither endpoint nor settings have
  /// changed they go on. `set` is parallel to the snapshot's clusters.
  void update(const config::Snapshot& snapshot, const EndpointSet& set,
              const ConnectionSettings& connection_settings);
  /// What to do when there is no descriptor for a check; one may have got free until the next.
  void when_exhausted(std::function<void()> reclaim) { reclaim_ = std::move(reclaim); }
  /// Checks all endpoints of that cluster now, if it has checks.
  void check_now(std::string_view cluster);

 private:
  void on_shortage();

  net::EventLoop& loop_;
  telemetry::Shard& cells_;
  telemetry::Shard& connection_cells_;
  ArenaBlocks blocks_;
  Random random_;
  std::function<void()> reclaim_;
  CheckQueue queue_;
  Timer shortage_;  // of descriptors: while it runs, no check begins
  const std::function<void()> on_shortage_;
  std::unordered_map<Endpoint*, std::unique_ptr<EndpointCheck>> checks_;
};

}  // namespace tidegate::upstream
