// SPDX-License-Identifier: Apache-2.0
#include "telemetry/families.h"

#include "base/error.h"

namespace tidegate::telemetry {
namespace {

constexpr Values kMethods{0, kMethodNames.size(), [](size_t i) { return kMethodNames[i]; }, false};

// Index 0 is ErrorCode::None, which is never counted and has no place in the output.
constexpr Values kErrors{
    1, static_cast<size_t>(ErrorCode::Count_),
    [](size_t i) { return tidegate::describe(static_cast<ErrorCode>(i)).token; }, true};
constexpr Values kConnectionErrors{1, kErrors.count, kErrors.name, false};

constexpr Values kRetryReasons{0, static_cast<size_t>(RetryReason::Count_),
                               [](size_t i) { return to_string(static_cast<RetryReason>(i)); },
                               false};
constexpr Values kScriptErrorKinds{
    0, static_cast<size_t>(ScriptErrorKind::Count_),
    [](size_t i) { return to_string(static_cast<ScriptErrorKind>(i)); }, false};

constexpr double kNanoseconds = 1e9;

constexpr std::array<FamilyInfo, static_cast<size_t>(Family::Count_)> kFamilies{{
    {"proxy_requests_total",
     "Requests whose head was received.",
     CellKind::CounterRow,
     {"route", "method"},
     1,
     nullptr,
     &kMethods},
    {"proxy_requests_active", "Exchanges under way.", CellKind::GaugeSum},
    {"proxy_responses_total", "Exchanges that ended with a response.", CellKind::Counter},
    {"proxy_responses_failed_total", "Exchanges that ended with a status of 500 or above.",
     CellKind::Counter},
    {"proxy_responses_by_status_total",
     "Responses by status.",
     CellKind::Status,
     {"route", "status"}},
    {"proxy_request_duration_seconds",
     "From the request's head to the response's end.",
     CellKind::Histogram,
     {"route"},
     1,
     &kSeconds},
    {"proxy_request_size_bytes", "Size of request bodies.", CellKind::Histogram, {}, 1, &kBytes},
    {"proxy_response_size_bytes", "Size of response bodies.", CellKind::Histogram, {}, 1, &kBytes},
    {"proxy_success_rate", "Share of the last minute's responses with a status below 500.",
     CellKind::GaugeSum},
    {"proxy_requests_per_second", "Responses per second over the last minute.", CellKind::GaugeSum},
    {"proxy_errors_total",
     "Exchanges that failed, by error token.",
     CellKind::CounterRow,
     {"error"},
     1,
     nullptr,
     &kErrors},
    {"proxy_client_connections_total", "Client connections accepted.", CellKind::Counter},
    {"proxy_client_connections_active", "Client connections open.", CellKind::GaugeSum},
    {"proxy_client_connections_refused_total", "Client connections closed at once, over a limit.",
     CellKind::Counter},
    {"proxy_client_connections_by_protocol_total",
     "Client connections that have begun to speak, by protocol (http/1.1, h2) and transport "
     "(plain, "
     "tls).",
     CellKind::Counter,
     {"protocol", "transport"}},
    {"proxy_client_streams_active", "HTTP/2 streams of clients that are open.", CellKind::GaugeSum},
    {"proxy_client_tunnels_active", "Tunnels under way, by Upgrade or CONNECT.",
     CellKind::GaugeSum},
    {"proxy_accept_errors_total", "Accepts that failed, for want of descriptors mostly.",
     CellKind::Counter},
    {"proxy_backend_connections_total",
     "Connections made to origins.",
     CellKind::Counter,
     {"cluster", "endpoint"}},
    {"proxy_backend_connection_errors_total",
     "Connections to origins that failed or broke.",
     CellKind::CounterRow,
     {"cluster", "endpoint", "error"},
     1,
     nullptr,
     &kConnectionErrors},
    {"proxy_backend_connections_active", "Connections to origins open, idle ones included.",
     CellKind::GaugeSum},
    {"proxy_backend_request_duration_seconds",
     "From an attempt's start to the response's head.",
     CellKind::Histogram,
     {"cluster"},
     1,
     &kSeconds},
    {"proxy_endpoint_healthy",
     "1 while the endpoint is healthy.",
     CellKind::GaugeMax,
     {"cluster", "endpoint"}},
    {"proxy_health_checks_total",
     "Active health checks, by result.",
     CellKind::Counter,
     {"cluster", "endpoint", "result"}},
    {"proxy_breaker_state",
     "The endpoint's breaker: 0 closed, 1 open, 2 half-open.",
     CellKind::GaugeMax,
     {"cluster", "endpoint"}},
    {"proxy_breaker_opened_total",
     "Times the endpoint's breaker has opened.",
     CellKind::Counter,
     {"cluster", "endpoint"}},
    {"proxy_breaker_failures",
     "Failures in a row that the endpoint's breaker has counted.",
     CellKind::GaugeMax,
     {"cluster", "endpoint"}},
    {"proxy_breaker_last_failure_timestamp_seconds",
     "When the endpoint's breaker last counted a failure, and of what kind, in Unix time.",
     CellKind::GaugeMax,
     {"cluster", "endpoint", "failure"}},
    {"proxy_retries_total",
     "Attempts after the first.",
     CellKind::CounterRow,
     {"cluster", "reason"},
     1,
     nullptr,
     &kRetryReasons},
    {"proxy_hedges_total",
     "Second attempts begun beside one that was slow to answer.",
     CellKind::Counter,
     {"cluster"}},
    {"proxy_hedges_won_total",
     "Those of them whose response was the first.",
     CellKind::Counter,
     {"cluster"}},
    {"proxy_limit_rejected_total",
     "Requests refused by a rate limit.",
     CellKind::Counter,
     {"limit"}},
    {"proxy_adaptive_concurrency_limit",
     "Requests that adaptive concurrency allows the cluster to have under way.",
     CellKind::GaugeMax,
     {"cluster"}},
    {"proxy_discoveries_total",
     "Times that a cluster's endpoints were asked for, by outcome: found, none, failed.",
     CellKind::Counter,
     {"cluster", "outcome"}},
    {"proxy_script_runs_total", "Hook runs.", CellKind::Counter, {"policy", "hook"}},
    {"proxy_script_errors_total",
     "Hook runs that failed.",
     CellKind::CounterRow,
     {"policy", "hook", "kind"},
     1,
     nullptr,
     &kScriptErrorKinds},
    {"proxy_script_cpu_seconds_total",
     "CPU time of hook runs.",
     CellKind::Counter,
     {"policy", "hook"},
     kNanoseconds},
    {"proxy_script_memory_bytes",
     "Memory of the policy's VMs, all workers.",
     CellKind::GaugeSum,
     {"policy"}},
    {"proxy_script_generation", "Number of the generation in use.", CellKind::GaugeMax, {"policy"}},
    {"proxy_script_reloads_total",
     "Attempts to load a new generation, by result.",
     CellKind::Counter,
     {"policy", "result"}},
    {"proxy_config_reloads_total",
     "Reloads of the configuration, by result.",
     CellKind::Counter,
     {"result"}},
    {"proxy_tls_reloads_total",
     "Reloads of changed certificate files, by result.",
     CellKind::Counter,
     {"result"}},
    {"proxy_tls_certificate_expiry_seconds",
     "When a listener's certificate expires, Unix time.",
     CellKind::GaugeMax,
     {"listener", "certificate"}},
    {"proxy_access_log_dropped_total", "Access log lines lost because they could not be written.",
     CellKind::Counter},
    {"proxy_log_dropped_total", "Operational log lines lost because standard error did not take them.",
     CellKind::Counter},
    {"proxy_build_info", "1, with the version as label.", CellKind::GaugeMax, {"version"}},
    {"proxy_workers", "Worker threads.", CellKind::GaugeSum},
    {"proxy_start_time_seconds", "Start of the process, Unix time.", CellKind::GaugeMax},
    {"process_resident_memory_bytes", "Resident memory.", CellKind::GaugeMax},
    {"process_open_fds", "Open descriptors.", CellKind::GaugeMax},
    {"process_max_fds", "Limit of open descriptors.", CellKind::GaugeMax},
    {"process_cpu_seconds_total",
     "CPU time, user and system.",
     CellKind::Counter,
     {},
     kNanoseconds},
}};

}  // namespace

size_t FamilyInfo::label_count() const {
  size_t count = 0;
  while (count < labels.size() && !labels[count].empty()) ++count;
  return count;
}

size_t FamilyInfo::fixed_label_count() const {
  const bool expands = kind == CellKind::CounterRow || kind == CellKind::Status;
  return label_count() - (expands ? 1 : 0);
}

const FamilyInfo& describe(Family family) {
  return kFamilies[static_cast<size_t>(family)];
}

std::string_view to_string(RetryReason reason) {
  constexpr std::array<std::string_view, static_cast<size_t>(RetryReason::Count_)> kNames{
      "reused", "connect", "reset", "timeout", "refused", "bad_response", "status", "script"};
  return kNames[static_cast<size_t>(reason)];
}

std::string_view to_string(ScriptErrorKind kind) {
  constexpr std::array<std::string_view, static_cast<size_t>(ScriptErrorKind::Count_)> kNames{
      "error", "cpu", "memory", "time"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace tidegate::telemetry
