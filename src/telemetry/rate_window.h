// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstddef>

#include "base/clock.h"
#include "telemetry/registry.h"

namespace tidegate::telemetry {

/// Request rate and success rate over the last minute, from sums sampled once a second. Belongs to
/// the control thread, which must also be the one that scrapes.
class RateWindow {
 public:
  static constexpr size_t kSeconds = 60;

  /// Sums are read from `registry`, which also gets the two gauges. Must outlive its scrapes.
  explicit RateWindow(Registry& registry, TimePoint now = std::chrono::steady_clock::now());

  /// Call about once a second.
  void sample(TimePoint now);
  /// As of the last sample.
  double requests_per_second() const { return rate_; }
  /// As of now, 0 to 1; 1 when nothing was answered.
  double success_rate() const;

 private:
  struct Sample {
    TimePoint at;
    double responses;
    double failed;
  };
  Sample measure(TimePoint now) const;
  const Sample& oldest() const;

  const Registry& registry_;
  std::array<Sample, kSeconds + 1> ring_{};
  size_t taken_ = 1;  // the first one is the start, when all sums were zero
  double rate_ = 0;
};

}  // namespace tidegate::telemetry
