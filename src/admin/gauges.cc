// SPDX-License-Identifier: Apache-2.0
#include "admin/gauges.h"

#include <set>
#include <string_view>
#include <utility>

namespace tidegate::admin {
namespace {

using telemetry::Family;
using telemetry::GaugeSink;

void set_endpoints_healthy(const proxy::SharedSnapshot& snapshot, GaugeSink& sink) {
  for (size_t i = 0; i < snapshot.config.clusters.size(); ++i) {
    std::set<std::string_view> seen;  // an address that is listed twice makes one sample
    for (const auto& endpoint : snapshot.endpoints[i]) {
      if (!seen.insert(endpoint->address).second) continue;
      const bool healthy = endpoint->healthy.load(std::memory_order_relaxed);
      sink.set(Family::EndpointHealthy, {snapshot.config.clusters[i].name, endpoint->address},
               healthy ? 1 : 0);
    }
  }
}

}  // namespace

void add_gauges(telemetry::Registry& registry,
                std::function<std::shared_ptr<const proxy::SharedSnapshot>()> snapshot,
                size_t workers) {
  registry.add_collector([snapshot = std::move(snapshot), workers](GaugeSink& sink) {
    sink.set(Family::Workers, {}, static_cast<double>(workers));
    if (const auto current = snapshot()) set_endpoints_healthy(*current, sink);
  });
}

}  // namespace tidegate::admin
