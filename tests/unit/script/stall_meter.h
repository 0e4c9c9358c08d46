// SPDX-License-Identifier: Apache-2.0
// The CPU time of the longest turn of the loop while scripts run, and the bounds it has to keep.
#pragma once
#include <algorithm>
#include <vector>

#include "unit/script/policy_rig.h"

namespace tidegate::script {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kSlower = 4;  // the C++ part, and the watchdog's chances
#else
constexpr int kSlower = 1;
#endif
constexpr Duration kSliced = std::chrono::milliseconds(5) * kSlower;
constexpr int kTries =
    20;  // other processes may keep the watchdog from its core, or take the caches

inline double ms(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

/// A turn of the loop that waits for nothing.
inline void turn(PolicyRig& rig) {
  rig.loop.post([] {});
  rig.loop.turn();
}

/// The longest turn while `start` and what it parks runs.
template <class Start>
Duration longest_turn(PolicyRig& rig, Start&& start) {
  turn(rig);
  rig.loop.take_longest_turn();
  rig.loop.post(start);
  do {
    turn(rig);
  } while (!rig.worker.slices().idle());
  turn(rig);
  return rig.loop.take_longest_turn();
}

/// The shortest of what `measure` gives, which is called until one is within `bound`. If most are
/// far over it, the one within it was luck: then it is the median.
template <class Measure>
Duration shortest(Duration bound, Measure&& measure) {
  std::vector<Duration> took;
  do {
    took.push_back(measure());
  } while (took.size() < kTries && took.back() > bound);
  std::ranges::sort(took);
  const Duration median = took[took.size() / 2];
  return took.size() >= 4 && median > 2 * bound ? median : took.front();
}

}  // namespace tidegate::script
