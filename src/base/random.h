// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace tidegate {

/// Spreads the bits of `value` over all 64 (the finaliser of SplitMix64); a bijection.
constexpr uint64_t mix64(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

/// Fast random numbers (SplitMix64) for spreading load and jitter; never for secrets. Equal seeds
/// give equal sequences. Not thread-safe: one per user.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() { return mix64(state_ += 0x9e3779b97f4a7c15ULL); }
  /// 0 to n - 1. REQUIRES: n > 0.
  uint32_t below(uint32_t n) {
    return static_cast<uint32_t>(((next() >> 32) * static_cast<uint64_t>(n)) >> 32);
  }
  /// 0 up to, but without, 1.
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_;
};

/// `after`, shorter or longer by up to these shares of it, as `random` (from 0 to 1) says: so that
/// what began together does not go on together.
inline Duration jittered(Duration after, double shorter, double longer, double random) {
  return std::chrono::duration_cast<Duration>(after * (1 - shorter + random * (shorter + longer)));
}

}  // namespace tidegate
