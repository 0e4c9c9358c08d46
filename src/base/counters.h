// SPDX-License-Identifier: Apache-2.0
// Counts of what is under way, shared by threads and exact: a place is taken below a maximum, or
// not at all, and given back once.
#pragma once
#include <atomic>
#include <cstdint>

namespace tidegate {

/// False: `count` stands at `max` or above.
inline bool take_place(uint64_t& count, uint64_t max) {
  std::atomic_ref<uint64_t> shared(count);
  uint64_t before = shared.load();
  do {
    if (before >= max) return false;
  } while (!shared.compare_exchange_weak(before, before + 1));
  return true;
}

inline void give_place_back(uint64_t& count) { std::atomic_ref<uint64_t>(count).fetch_sub(1); }

inline uint64_t places_taken(uint64_t& count) {
  return std::atomic_ref<uint64_t>(count).load(std::memory_order_relaxed);
}

}  // namespace tidegate
