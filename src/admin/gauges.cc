// SPDX-License-Identifier: Apache-2.0
#include "admin/gauges.h"

#include <set>
#include <string_view>
#include <utility>

namespace tidegate::admin {
namespace {

using telemetry::Family;
using telemetry::GaugeSink;

void set_endpoints(const proxy::SharedSnapshot& snapshot, GaugeSink& sink) {
  for (size_t i = 0; i < snapshot.config.clusters.size(); ++i) {
    std::set<std::string_view> seen;  // an address that is listed twice makes one sample
    for (const auto& endpoint : snapshot.endpoints[i]) {
      if (!seen.insert(endpoint->address).second) continue;
      const bool healthy = endpoint->healthy.load(std::memory_order_relaxed);
      const std::string& cluster = snapshot.config.clusters[i].name;
      sink.set(Family::EndpointHealthy, {cluster, endpoint->address}, healthy ? 1 : 0);
      if (!snapshot.config.clusters[i].breaker) continue;
      const upstream::Breaker& breaker = endpoint->breaker;
      sink.set(Family::BreakerState, {cluster, endpoint->address},
               static_cast<double>(breaker.state()));
      sink.set(Family::BreakerOpenedTotal, {cluster, endpoint->address},
               static_cast<double>(breaker.opened()));
    }
  }
}

void set_certificates(const proxy::SharedSnapshot& snapshot, GaugeSink& sink) {
  for (size_t i = 0; i < snapshot.tls.listeners.size(); ++i) {
    if (snapshot.tls.listeners[i] == nullptr) continue;
    for (const auto& one : snapshot.tls.listeners[i]->loaded()) {
      sink.set(Family::TlsCertificateExpirySeconds, {snapshot.config.listeners[i].name, one.path},
               static_cast<double>(one.certificate.not_after));
    }
  }
}

}  // namespace

void add_gauges(telemetry::Registry& registry,
                std::function<std::shared_ptr<const proxy::SharedSnapshot>()> snapshot,
                size_t workers) {
  registry.add_collector([snapshot = std::move(snapshot), workers](GaugeSink& sink) {
    sink.set(Family::Workers, {}, static_cast<double>(workers));
    const auto current = snapshot();
    if (current == nullptr) return;
    set_endpoints(*current, sink);
    set_certificates(*current, sink);
  });
}

}  // namespace tidegate::admin
