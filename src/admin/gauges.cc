// SPDX-License-Identifier: Apache-2.0
#include "admin/gauges.h"

#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace tidegate::admin {
namespace {

using telemetry::Family;
using telemetry::GaugeSink;

// Breakers count in the time of the steady clock.
double unix_seconds(TimePoint then) {
  const auto ago = std::chrono::steady_clock::now() - then;
  const auto wall = std::chrono::system_clock::now() - ago;
  return std::chrono::duration<double>(wall.time_since_epoch()).count();
}

void set_breaker(const std::string& cluster, const upstream::Endpoint& endpoint, GaugeSink& sink) {
  const upstream::Breaker& breaker = endpoint.breaker;
  const std::string& address = endpoint.address;
  sink.set(Family::BreakerState, {cluster, address}, static_cast<double>(breaker.state()));
  sink.set(Family::BreakerOpenedTotal, {cluster, address}, static_cast<double>(breaker.opened()));
  sink.set(Family::BreakerFailures, {cluster, address}, breaker.failures());
  if (const auto failure = breaker.last_failure()) {
    sink.set(Family::BreakerLastFailureSeconds, {cluster, address, failure->to_string()},
             unix_seconds(breaker.last_failure_at()));
  }
}

void set_endpoints(const proxy::SharedSnapshot& snapshot, GaugeSink& sink) {
  for (size_t i = 0; i < snapshot.config.clusters.size(); ++i) {
    std::set<std::string_view> seen;  // an address that is listed twice makes one sample
    for (const auto& endpoint : snapshot.endpoints[i]) {
      if (!seen.insert(endpoint->address).second) continue;
      const bool healthy = endpoint->healthy.load(std::memory_order_relaxed);
      const std::string& cluster = snapshot.config.clusters[i].name;
      sink.set(Family::EndpointHealthy, {cluster, endpoint->address}, healthy ? 1 : 0);
      if (!snapshot.config.clusters[i].breaker) continue;
      set_breaker(cluster, *endpoint, sink);
    }
  }
}

void set_adaptive_limits(const proxy::SharedSnapshot& snapshot, GaugeSink& sink) {
  for (size_t i = 0; i < snapshot.cluster_loads.size(); ++i) {
    const auto& adaptive = snapshot.cluster_loads[i]->adaptive;
    if (adaptive == nullptr) continue;
    sink.set(Family::AdaptiveLimit, {snapshot.config.clusters[i].name},
             static_cast<double>(adaptive->limit()));
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
    set_adaptive_limits(*current, sink);
    set_certificates(*current, sink);
  });
}

}  // namespace tidegate::admin
