// SPDX-License-Identifier: Apache-2.0
// Rate limits, as structs of the configuration; see snapshot.h.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace tidegate::config {

/// "10/m": so many in so much time.
struct Rate {
  uint64_t count = 0;
  Duration period{};  // a second, a minute or an hour
  bool operator==(const Rate&) const = default;
};

enum class LimitAlgorithm : uint8_t { SlidingWindow, TokenBucket };

/// What a request counts as in a limit.
enum class LimitKey : uint8_t { Route, Host, ClientIp, Header, Global, Script };

struct Limit {
  std::string name;
  Rate rate;
  std::optional<uint32_t> burst;
  LimitAlgorithm algorithm = LimitAlgorithm::SlidingWindow;
  LimitKey key = LimitKey::Route;
  std::string key_header;  // when Header; lower case
  uint32_t ipv6_prefix = 64;
  uint32_t max_keys = 65536;
  bool headers = false;
  bool operator==(const Limit&) const = default;
};

/// How a cluster's limit of concurrent requests is found out; see upstream/adaptive_limit.h.
struct AdaptiveConcurrency {
  uint32_t min = 10;
  uint32_t max = 1000;
  double tolerance = 0.5;
  Duration window = std::chrono::seconds(1);
  bool operator==(const AdaptiveConcurrency&) const = default;
};

struct Backoff {
  Duration base = std::chrono::milliseconds(25);
  Duration max = std::chrono::milliseconds(250);
};

/// A second attempt beside one that is slow to answer; see proxy/exchange_hedge.cc.
struct Hedge {
  Duration delay = Duration::zero();  // 0: none
};

struct Retry {
  uint32_t max_retries = 0;  // 0: none
  std::vector<std::string> on = {"connect", "refused", "reset", "timeout", "502", "503", "504"};
  bool non_idempotent = false;
  Duration per_try_timeout = Duration::zero();  // 0: the route's timeout
  Backoff backoff;
  double budget = 0.2;      // of the requests
  uint32_t budget_min = 3;  // at once anyway
  uint64_t buffer = 64 * 1024;
  Hedge hedge;
};

struct ClusterLimits {
  uint64_t max_requests = 0;  // under way at once, all workers; 0: unlimited
  std::optional<AdaptiveConcurrency> adaptive_concurrency;
};

}  // namespace tidegate::config
