// SPDX-License-Identifier: Apache-2.0
#include "upstream/adaptive_limit.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tidegate::upstream {
namespace {

constexpr double kSteepest = 0.5;
// While there is no queue the limit grows by the tolerance at each step, and not by its root only:
// an origin whose responses take seconds would be refused requests for minutes.
constexpr double kFastest = 2.0;
constexpr double kBaselineRise = 0.1;  // of the difference, each window

}  // namespace

AdaptiveController::AdaptiveController(const config::AdaptiveConcurrency& settings)
    : settings_(settings), limit_(static_cast<double>(std::min(settings.max, settings.min * 2))) {}

void AdaptiveController::update(Duration median, uint64_t peak, uint64_t samples) {
  if (samples < kLeastSamples) return;
  const auto took = static_cast<double>(std::max<int64_t>(median.count(), 1));
  const auto least = static_cast<double>(settings_.min);
  const bool in_use = static_cast<double>(peak) * 2 >= limit_;
  if (baseline_ == 0 || took < baseline_ || limit_ <= least) {
    baseline_ = took;
  } else if (!in_use) {
    baseline_ += (took - baseline_) * kBaselineRise;
  }
  if (!in_use) return;
  const double gradient =
      std::clamp(baseline_ * (1 + settings_.tolerance) / took, kSteepest, kFastest);
  const double wanted = limit_ * gradient + std::sqrt(limit_);
  limit_ = std::clamp(wanted, least, static_cast<double>(settings_.max));
}

AdaptiveLimit::AdaptiveLimit(const config::AdaptiveConcurrency& settings)
    : settings_(settings), controller_(settings), limit_(controller_.limit()) {}

size_t AdaptiveLimit::bucket_of(uint64_t nanoseconds) {
  if (nanoseconds < kPerOctave) return static_cast<size_t>(nanoseconds);
  const auto octave = static_cast<size_t>(std::bit_width(nanoseconds)) - 4;
  return octave * kPerOctave + static_cast<size_t>(nanoseconds >> octave);
}

uint64_t AdaptiveLimit::middle_of(size_t bucket) {
  if (bucket < 2 * kPerOctave) return bucket;
  const size_t octave = bucket / kPerOctave - 1;
  const uint64_t low = uint64_t{bucket % kPerOctave + kPerOctave} << octave;
  return low + (uint64_t{1} << octave) / 2;
}

void AdaptiveLimit::sample(Duration latency, uint64_t active, TimePoint now) {
  const auto took = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
  buckets_[bucket_of(took)].fetch_add(1, std::memory_order_relaxed);
  uint64_t peak = peak_.load(std::memory_order_relaxed);
  while (peak < active && !peak_.compare_exchange_weak(peak, active, std::memory_order_relaxed)) {
  }
  const int64_t time = Duration(now.time_since_epoch()).count();
  int64_t end = window_end_.load(std::memory_order_relaxed);
  if (time < end) return;
  if (!window_end_.compare_exchange_strong(end, time + settings_.window.count())) return;
  // One that is still at the window before has been held up for a whole window: it is skipped.
  if (end == 0 || ending_.test_and_set(std::memory_order_acquire)) return;
  end_window();
  ending_.clear(std::memory_order_release);
}

void AdaptiveLimit::end_window() {
  std::array<uint32_t, kBuckets> counts;
  uint64_t samples = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    counts[i] = buckets_[i].load(std::memory_order_relaxed);
    samples += counts[i];
  }
  if (samples < AdaptiveController::kLeastSamples) return;
  for (size_t i = 0; i < kBuckets; ++i) {
    if (counts[i] > 0) buckets_[i].fetch_sub(counts[i], std::memory_order_relaxed);
  }
  uint64_t below = 0;
  size_t median = 0;
  while (median + 1 < kBuckets && (below += counts[median]) * 2 < samples) ++median;
  controller_.update(Duration(static_cast<int64_t>(middle_of(median))),
                     peak_.exchange(0, std::memory_order_relaxed), samples);
  limit_.store(controller_.limit(), std::memory_order_relaxed);
}

}  // namespace tidegate::upstream
