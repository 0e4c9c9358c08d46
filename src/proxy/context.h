// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/intrusive_list.h"
#include "config/snapshot.h"
#include "http/date.h"
#include "net/event_loop.h"
#include "proxy/forwarding.h"
#include "proxy/overload.h"
#include "telemetry/access_log.h"
#include "telemetry/metrics.h"
#include "telemetry/wall_clock.h"

namespace tidegate::proxy {

class Exchange;
class RouteTable;

/// What one worker lends to its connections and exchanges. Owned by the worker, used in its thread.
struct WorkerContext {
  WorkerContext(net::EventLoop& event_loop, telemetry::Shard& cells);
  ~WorkerContext();

  net::EventLoop& loop;
  ArenaBlocks arena_blocks;
  IdGenerator ids;
  std::minstd_rand random{std::random_device()()};  // for jitter, not for secrets
  telemetry::Shard& shard;
  telemetry::WorkerMetrics metrics;
  telemetry::WallClock wall_clock;
  http::DateText date;
  telemetry::AccessLog* access_log = nullptr;  // nullptr: off
  const Overload* overload = nullptr;          // nullptr: never overloaded
  RouteTable* routes = nullptr;                // the current one; the worker holds its pin
  /// A script gives a cluster other endpoints; set by the server.
  std::function<void(const std::string& cluster, std::vector<config::Endpoint>)> set_endpoints;
  /// Begins a health check of a cluster's endpoints; set by the server.
  std::function<void(const std::string& cluster)> check_health;
  List<Exchange> exchanges;                    // all that are not finished
  unsigned worker = 0;
  bool draining = false;
};

}  // namespace tidegate::proxy
