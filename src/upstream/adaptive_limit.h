// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "config/limits.h"

namespace tidegate::upstream {

/// How many requests a cluster may have under way, found out from how long they take. Each window
/// compares the median latency with that of an origin without a queue (the baseline):
///
///   gradient = baseline × (1 + tolerance) / median, within 0.5 and 2
///   limit    = limit × gradient + √limit, within min and max
///
/// The limit only moves while at least half of it is in use: below that it is not what makes the
/// origin fast or slow. The baseline is measured on live
/// traffic, and nothing is shed to measure it: it falls at once with the median, rises
/// slowly in windows that used less than half of the limit, and is the median itself at the
/// minimum: in both cases it is not a queue of ours that makes the origin slow. Pure; in virtual
/// time.
class AdaptiveController {
 public:
  explicit AdaptiveController(const config::AdaptiveConcurrency& settings);

  static constexpr uint64_t kLeastSamples = 10;  // fewer say nothing

  /// A window has passed: its median latency, the most that was under way in it, its requests.
  void update(Duration median, uint64_t peak, uint64_t samples);
  uint64_t limit() const { return static_cast<uint64_t>(limit_); }
  Duration baseline() const { return Duration(static_cast<int64_t>(baseline_)); }

 private:
  const config::AdaptiveConcurrency settings_;
  double limit_;
  double baseline_ = 0;  // nanoseconds; 0: not known
};

/// The controller with the samples of all workers. Any thread; no locks: whoever brings the first
/// sample after a window's end moves the window on, and works it out alone.
class AdaptiveLimit {
 public:
  explicit AdaptiveLimit(const config::AdaptiveConcurrency& settings);

  const config::AdaptiveConcurrency& settings() const { return settings_; }
  uint64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  /// A request that ended well took so long to its response head, with so many under way. A window
  /// with too few of them to say anything goes on, so that slow responses add up to a verdict.
  void sample(Duration latency, uint64_t active, TimePoint now);

 private:
  // Eight buckets to each doubling of nanoseconds: the median is true to 9 %.
  static constexpr size_t kPerOctave = 8;
  static constexpr size_t kBuckets = 64 * kPerOctave;
  static size_t bucket_of(uint64_t nanoseconds);
  static uint64_t middle_of(size_t bucket);
  void end_window();

  const config::AdaptiveConcurrency settings_;
  AdaptiveController controller_;  // of the thread that ends a window
  std::atomic<uint64_t> limit_;
  std::atomic<int64_t> window_end_{0};  // nanoseconds of the steady clock
  std::atomic_flag ending_;
  std::atomic<uint64_t> peak_{0};
  std::array<std::atomic<uint32_t>, kBuckets> buckets_{};
};

}  // namespace tidegate::upstream
