// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/keyed_hash.h"
#include "config/snapshot.h"
#include "proxy/key_table.h"

namespace tidegate::proxy {

/// What all workers together have under way on one route, and for each client. Outlives reloads for
/// as long as there is a route of that name, so that requests under way stay counted.
class RouteLoad {
 public:
  /// False: the route has `max` under way already.
  bool enter(uint64_t max) { return take_place(active_, max); }
  /// The count that was taken from, to be given back; nullptr: the client has `max` under way.
  uint64_t* enter_client(std::string_view client, uint64_t max);
  uint64_t& active() { return active_; }

 private:
  static constexpr size_t kClients = 65536;  // at once; beyond, clients share counts
  uint64_t active_ = 0;
  KeyedHash hash_;
  KeyTable clients_{kClients, 1};
};

/// One for each route of a snapshot, in its order; nullptr where it limits nothing.
using RouteLoads = std::vector<std::shared_ptr<RouteLoad>>;

RouteLoads make_loads(const std::vector<config::Route>& routes,
                      const std::vector<config::Route>* previous, const RouteLoads* previous_loads);

}  // namespace tidegate::proxy
