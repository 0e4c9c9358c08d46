// SPDX-License-Identifier: Apache-2.0
#include "telemetry/metrics.h"

#include <cassert>

namespace tidegate::telemetry {

WorkerMetrics::WorkerMetrics(Shard& shard)
    : connections_total(shard.counter(Family::ClientConnectionsTotal)),
      connections_active(shard.gauge(Family::ClientConnectionsActive)),
      connections_refused_total(shard.counter(Family::ClientConnectionsRefusedTotal)),
      client_streams_active(shard.gauge(Family::ClientStreamsActive)),
      accept_errors_total(shard.counter(Family::AcceptErrorsTotal)),
      tunnels_active(shard.gauge(Family::ClientTunnelsActive)),
      requests_active(shard.gauge(Family::RequestsActive)),
      responses_total(shard.counter(Family::ResponsesTotal)),
      responses_failed_total(shard.counter(Family::ResponsesFailedTotal)),
      request_size(shard.histogram(Family::RequestSizeBytes)),
      response_size(shard.histogram(Family::ResponseSizeBytes)),
      backend_connections_active(shard.gauge(Family::BackendConnectionsActive)),
      access_log_dropped_total(shard.counter(Family::AccessLogDroppedTotal)),
      errors_(shard.row(Family::ErrorsTotal)) {
  size_t at = 0;
  for (const std::string_view protocol : {"http/1.1", "h2"}) {
    for (const std::string_view transport : {"plain", "tls"}) {
      opened_[at++] =
          &shard.counter(Family::ClientConnectionsByProtocolTotal, {protocol, transport});
    }
  }
}

RouteMetrics::RouteMetrics(Shard& shard, std::string_view route)
    : requests_(shard.row(Family::RequestsTotal, {route}, lease_.get())),
      statuses_(&shard.status_counters(Family::ResponsesByStatusTotal, {route}, lease_.get())),
      duration_(&shard.histogram(Family::RequestDurationSeconds, {route}, lease_.get())) {}

ClusterMetrics::ClusterMetrics(Shard& shard, std::string_view cluster)
    : duration_(&shard.histogram(Family::BackendRequestDurationSeconds, {cluster}, lease_.get())),
      retries_(shard.row(Family::RetriesTotal, {cluster}, lease_.get())),
      hedges_(&shard.counter(Family::HedgesTotal, {cluster}, lease_.get())),
      hedges_won_(&shard.counter(Family::HedgesWonTotal, {cluster}, lease_.get())) {}

EndpointMetrics::EndpointMetrics(Shard& shard, std::string_view cluster, std::string_view endpoint)
    : connections_(
          &shard.counter(Family::BackendConnectionsTotal, {cluster, endpoint}, lease_.get())),
      errors_(shard.row(Family::BackendConnectionErrorsTotal, {cluster, endpoint}, lease_.get())) {}

PolicyMetrics::PolicyMetrics(Shard& shard, std::string_view policy,
                             std::span<const std::string_view> hooks)
    : memory_(&shard.gauge(Family::ScriptMemoryBytes, {policy}, lease_.get())),
      generation_(&shard.gauge(Family::ScriptGeneration, {policy}, lease_.get())) {
  assert(hooks.size() <= kMaxHooks);
  for (size_t i = 0; i < hooks.size(); ++i) {
    hooks_[i] = {&shard.counter(Family::ScriptRunsTotal, {policy, hooks[i]}, lease_.get()),
                 &shard.counter(Family::ScriptCpuSecondsTotal, {policy, hooks[i]}, lease_.get()),
                 shard.row(Family::ScriptErrorsTotal, {policy, hooks[i]}, lease_.get())};
  }
}

size_t PolicyMetrics::kind_of(ErrorCode code) {
  const auto first = static_cast<size_t>(ErrorCode::ScriptError);
  const auto at = static_cast<size_t>(code) - first;
  static_assert(static_cast<size_t>(ErrorCode::ScriptTime) -
                    static_cast<size_t>(ErrorCode::ScriptError) + 1 ==
                static_cast<size_t>(ScriptErrorKind::Count_));
  return at < static_cast<size_t>(ScriptErrorKind::Count_) ? at : 0;
}

}  // namespace tidegate::telemetry
