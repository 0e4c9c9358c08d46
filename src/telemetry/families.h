// SPDX-License-Identifier: Apache-2.0
// The one table of metric families: names, help, labels, buckets.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "telemetry/cells.h"

namespace tidegate::telemetry {

enum class Family : uint8_t {
  // requests
  RequestsTotal,
  RequestsActive,
  ResponsesTotal,
  ResponsesFailedTotal,
  ResponsesByStatusTotal,
  RequestDurationSeconds,
  RequestSizeBytes,
  ResponseSizeBytes,
  SuccessRate,
  RequestsPerSecond,
  ErrorsTotal,
  // client connections
  ClientConnectionsTotal,
  ClientConnectionsActive,
  ClientConnectionsRefusedTotal,
  ClientConnectionsByProtocolTotal,
  ClientStreamsActive,
  ClientTunnelsActive,
  AcceptErrorsTotal,
  // origins
  BackendConnectionsTotal,
  BackendConnectionErrorsTotal,
  BackendConnectionsActive,
  BackendRequestDurationSeconds,
  EndpointHealthy,
  HealthChecksTotal,
  BreakerState,
  BreakerOpenedTotal,
  BreakerFailures,
  BreakerLastFailureSeconds,
  RetriesTotal,
  HedgesTotal,
  HedgesWonTotal,
  LimitRejectedTotal,
  AdaptiveLimit,
  DiscoveriesTotal,
  // scripts
  ScriptRunsTotal,
  ScriptErrorsTotal,
  ScriptCpuSecondsTotal,
  ScriptMemoryBytes,
  ScriptGeneration,
  ScriptReloadsTotal,
  // the process
  ConfigReloadsTotal,
  TlsReloadsTotal,
  TlsCertificateExpirySeconds,
  AccessLogDroppedTotal,
  LogDroppedTotal,
  BuildInfo,
  Workers,
  StartTimeSeconds,
  ProcessResidentMemoryBytes,
  ProcessOpenFds,
  ProcessMaxFds,
  ProcessCpuSecondsTotal,
  Count_
};

/// What a family's cells are.
enum class CellKind : uint8_t {
  Counter,
  CounterRow,  // one Counter per value of the last label, see Values
  Status,      // StatusCounters; the last label is the status
  Histogram,
  GaugeSum,  // the workers' parts are summed
  GaugeMax,  // the largest of the workers' parts
};

/// The closed list of values that the last label of a CounterRow takes.
struct Values {
  size_t first;  // index of the first one that is printed
  size_t count;  // one past the last index
  std::string_view (*name)(size_t index);
  bool print_zeros;  // print also what was never counted, so that alerts can see the first one
};

struct FamilyInfo {
  std::string_view name;  // as scraped
  std::string_view help;
  CellKind kind;
  std::array<std::string_view, 3> labels{};  // unused ones are empty
  double per_unit = 1.0;                     // integers of a counter in one printed unit
  const Scale* scale = nullptr;              // of a histogram
  const Values* values = nullptr;            // of a row

  size_t label_count() const;
  /// Labels given when a cell is made: all but the one that a row or status expands to.
  size_t fixed_label_count() const;
};

const FamilyInfo& describe(Family family);

/// Methods in the order of http::Method; the last, "other", takes every unknown one.
inline constexpr std::array<std::string_view, 10> kMethodNames{
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other"};

/// Why another attempt was made.
enum class RetryReason : uint8_t {
  Reused,   // the free one: a reused connection turned out dead
  Connect,  // no connection was made
  Reset,    // the connection broke before the response
  Timeout,
  Refused,  // the origin gave the stream back unprocessed (HTTP/2)
  BadResponse,
  Status,  // the origin's status is one to retry on
  Script,  // response:retry()
  Count_
};
std::string_view to_string(RetryReason reason);

/// How a hook run failed; in the order of ErrorCode::ScriptError and following.
enum class ScriptErrorKind : uint8_t { Error, Cpu, Memory, Time, Count_ };
std::string_view to_string(ScriptErrorKind kind);

}  // namespace tidegate::telemetry
