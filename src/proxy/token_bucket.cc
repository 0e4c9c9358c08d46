// SPDX-License-Identifier: Apache-2.0
#include "proxy/token_bucket.h"

#include <algorithm>
#include <atomic>

namespace tidegate::proxy {
namespace {

// A finer unit than the nanosecond keeps high rates true; 64 bits of it last 36 years.
constexpr uint64_t kUnits = 16;

uint64_t units(Duration time) {
  return static_cast<uint64_t>(time.count()) * kUnits;
}

Duration duration(uint64_t units) {
  return Duration(static_cast<int64_t>((units + kUnits - 1) / kUnits));
}

}  // namespace

TokenBucket::TokenBucket(uint64_t rate, Duration period, uint64_t burst)
    : burst_(burst), interval_((units(period) + rate - 1) / rate), tolerance_(burst * interval_) {}

bool TokenBucket::take(uint64_t* word, Duration now, uint64_t cost, Duration& retry_after) const {
  std::atomic_ref<uint64_t> earned(*word);
  const uint64_t time = units(now);
  uint64_t before = earned.load();
  while (true) {
    const uint64_t after = std::max(before, time) + cost * interval_;
    if (after - time > tolerance_) {
      retry_after = duration(after - time - tolerance_);
      return false;
    }
    if (earned.compare_exchange_weak(before, after)) return true;
  }
}

bool TokenBucket::ask(uint64_t* word, Duration now, uint64_t cost, Duration& retry_after) const {
  const uint64_t time = units(now);
  const uint64_t after = std::max(std::atomic_ref<uint64_t>(*word).load(), time) + cost * interval_;
  if (after - time <= tolerance_) return true;
  retry_after = duration(after - time - tolerance_);
  return false;
}

uint64_t TokenBucket::remaining(uint64_t* word, Duration now) const {
  const uint64_t earned = std::atomic_ref<uint64_t>(*word).load();
  const uint64_t time = units(now);
  const uint64_t debt = std::max(earned, time) - time;
  return debt >= tolerance_ ? 0 : (tolerance_ - debt) / interval_;
}

Duration TokenBucket::reset(uint64_t* word, Duration now) const {
  const uint64_t earned = std::atomic_ref<uint64_t>(*word).load();
  const uint64_t time = units(now);
  return duration(std::max(earned, time) - time);
}

bool TokenBucket::expired(uint64_t* word, Duration now) const {
  return std::atomic_ref<uint64_t>(*word).load() <= units(now);
}

}  // namespace tidegate::proxy
