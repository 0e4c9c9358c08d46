// SPDX-License-Identifier: Apache-2.0
#include "upstream/latency.h"

#include <algorithm>
#include <cmath>

namespace tidegate::upstream {
namespace {

/// What is left of an old value after that time.
double remainder(int64_t noted_ns, TimePoint now) {
  const auto age = std::max<int64_t>(now.time_since_epoch().count() - noted_ns, 0);
  return std::exp(-static_cast<double>(age) / (PeakLatency::kDecaySeconds * 1e9));
}

}  // namespace

void PeakLatency::note(Duration took, TimePoint now) {
  const double sample = std::chrono::duration<double, std::micro>(took).count();
  double value = static_cast<double>(peak_us_.load(std::memory_order_relaxed));
  if (sample >= value) {
    value = sample;
  } else {
    const double kept = remainder(noted_ns_.load(std::memory_order_relaxed), now);
    value = value * kept + sample * (1 - kept);
  }
  peak_us_.store(static_cast<float>(value), std::memory_order_relaxed);
  noted_ns_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

double PeakLatency::at(TimePoint now) const {
  const auto peak = static_cast<double>(peak_us_.load(std::memory_order_relaxed));
  return peak < 0 ? peak : peak * remainder(noted_ns_.load(std::memory_order_relaxed), now);
}

}  // namespace tidegate::upstream
