// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <unordered_map>

#include "upstream/pool.h"

namespace tidegate::upstream {

/// All pools of one worker, by endpoint. A pool lives while some route table uses its endpoint, so
/// a reload keeps the connections of endpoints that stay.
class Pools {
 public:
  Pools(net::EventLoop& loop, telemetry::Gauge& connections_active)
      : loop_(loop), connections_active_(connections_active) {}

  using Metrics = std::function<telemetry::EndpointMetrics()>;
  /// The endpoint's pool, with these settings from now on. Give it back once for each call.
  /// `metrics` is asked for a new pool only.
  Pool& acquire(const std::shared_ptr<Endpoint>& endpoint, const Pool::Settings& settings,
                const Metrics& metrics);
  void give_back(Pool& pool);
  /// Closes one idle connection, whosever. False: there is none.
  bool close_idle();

 private:
  struct Entry {
    std::unique_ptr<Pool> pool;
    uint32_t users = 0;
  };
  net::EventLoop& loop_;
  telemetry::Gauge& connections_active_;
  std::unordered_map<const Endpoint*, Entry> entries_;
};

}  // namespace tidegate::upstream
