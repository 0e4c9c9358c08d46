// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <cstddef>

#include "base/clock.h"
#include "telemetry/registry.h"

namespace tidegate::telemetry {

/// Request rate and success rate over the last minute, from sums sampled once a second. `sample`
/// belongs to the control thread; the results may be read by any.
class RateWindow {
 public:
  static constexpr size_t kSeconds = 60;

  /// Sums are read from `registry`, which also gets the two gauges. Must outlive its scrapes.
  explicit RateWindow(Registry& registry);

  /// Call about once a second.
  void sample(TimePoint now);
  double requests_per_second() const { return rate_.load(std::memory_order_relaxed); }
  /// 0 to 1; 1 when nothing was answered.
  double success_rate() const { return success_.load(std::memory_order_relaxed); }

 private:
  struct Sample {
    TimePoint at;
    double responses;
    double failed;
  };
  Registry& registry_;
  std::array<Sample, kSeconds + 1> ring_{};
  size_t taken_ = 0;
  std::atomic<double> rate_{0};
  std::atomic<double> success_{1};
};

}  // namespace tidegate::telemetry
