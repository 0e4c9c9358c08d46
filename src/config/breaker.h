// SPDX-License-Identifier: Apache-2.0
// What takes endpoints out of use, as structs of the configuration; see snapshot.h.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace tidegate::config {

/// Status codes, as single ones and ranges: "200-299", "200,204,301-302".
struct StatusSet {
  std::vector<std::pair<uint16_t, uint16_t>> ranges;  // first and last
  bool contains(unsigned status) const {
    for (const auto& [first, last] : ranges) {
      if (status >= first && status <= last) return true;
    }
    return false;
  }
  bool operator==(const StatusSet&) const = default;
};

/// Circuit breaker of each endpoint of a cluster; see upstream/breaker.h.
struct Breaker {
  uint32_t max_failures = 5;  // in a row; 0: their number alone opens nothing
  double failure_rate = 0;    // of the requests in `window`; 0: their share opens nothing
  Duration window = std::chrono::seconds(10);
  uint32_t min_requests = 20;  // in the window, before the share counts
  Duration recovery_timeout = std::chrono::seconds(30);
  Duration max_recovery_timeout = std::chrono::minutes(5);
  uint32_t half_open_requests = 1;
  Duration trial_timeout = std::chrono::seconds(5);  // then another trial may start
  double max_ejected = 0.5;  // share of the cluster's endpoints; one in any case
  StatusSet failure_status{{{502, 504}}};
};

}  // namespace tidegate::config
