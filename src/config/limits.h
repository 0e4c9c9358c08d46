// SPDX-License-Identifier: Apache-2.0
// Rate limits, as structs of the configuration; see snapshot.h.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

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

}  // namespace tidegate::config
