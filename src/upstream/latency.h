// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace tidegate::upstream {

/// How slow an endpoint has lately been, for balancers: a slower answer counts at once and in full,
/// faster ones bring it down bit by bit, and without answers it decays, so that an endpoint which
/// was slow once is tried again. Shared by workers; two that note at the same time may lose one
/// answer, which does no harm.
class PeakLatency {
 public:
  /// Half of an old peak is forgotten in about 7 s.
  static constexpr double kDecaySeconds = 10;

  void note(Duration took, TimePoint now);
  /// Microseconds; negative: nothing is known yet.
  double at(TimePoint now) const;

 private:
  std::atomic<float> peak_us_{-1};
  std::atomic<int64_t> noted_ns_{0};  // steady clock
};

}  // namespace tidegate::upstream
