// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace tidegate::telemetry {

struct AccessPolicy {
  std::string_view name;
  uint64_t generation = 0;
};

/// All that the access log says of one exchange; texts are borrowed for the call that formats it.
/// Empty texts and zero numbers that mean "there was none" are left out of the line.
struct AccessRecord {
  int64_t unix_ms = 0;  // when the exchange ended
  std::string_view request_id;
  std::string_view trace_id;
  std::string_view client_ip;
  std::string_view listener;
  std::string_view protocol;  // "HTTP/1.1"
  std::string_view method;
  std::string_view host;
  std::string_view path;
  std::string_view query;
  std::string_view user_agent;
  std::string_view route;
  std::span<const AccessPolicy> policies;
  std::string_view cluster;
  std::string_view endpoint;  // of the last attempt, or the one that answered
  uint32_t attempts = 0;
  std::string_view hedge;  // "won" or "lost": the attempt beside a slow one, if there was one
  uint32_t status = 0;  // 0: no response was sent
  ErrorCode error = ErrorCode::None;
  Duration duration{};
  Duration upstream{-1};   // last attempt, start to response head; negative: there was none
  uint64_t bytes_in = 0;   // of request body
  uint64_t bytes_out = 0;  // of response body
};

}  // namespace tidegate::telemetry
