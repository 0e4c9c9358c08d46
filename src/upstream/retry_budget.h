// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace tidegate::upstream {

/// Requests and retries of a cluster in the last two seconds, of all workers together, so that
/// retries can be held to a share of the requests. By their rate, since failures that come at once
/// (an endpoint that has died refuses connections) leave nothing under way to take a share of. Any
/// thread; no locks.
class RetryBudget {
 public:
  static constexpr Duration kSlot = std::chrono::milliseconds(200);
  static constexpr size_t kSlots = 10;

  void note_request(TimePoint now) { requests_.add(slot_at(now)); }
  /// One that is allowed for another reason counts all the same.
  void note_retry(TimePoint now) { retries_.add(slot_at(now)); }
  /// Counts a retry, unless there have been `share` of the requests already.
  bool take(double share, TimePoint now) {
    const uint32_t slot = slot_at(now);
    retries_.add(slot);
    const auto allowed = share * static_cast<double>(requests_.sum(slot));
    if (static_cast<double>(retries_.sum(slot)) <= allowed) return true;
    retries_.subtract(slot);
    return false;
  }
  /// What was allowed a moment ago is not made.
  void give_back(TimePoint now) { retries_.subtract(slot_at(now)); }

 private:
  /// Counts per slot of time; each word holds the slot's number and its count.
  class Window {
   public:
    void add(uint32_t slot) {
      std::atomic<uint64_t>& word = words_[slot % kSlots];
      uint64_t seen = word.load(std::memory_order_relaxed);
      while (number(seen) != slot) {
        if (is_before(slot, number(seen)) ||  // a worker whose clock reading is old
            word.compare_exchange_weak(seen, first(slot), std::memory_order_relaxed)) {
          return;
        }
      }
      word.fetch_add(1, std::memory_order_relaxed);
    }
    /// Takes one back that was added a moment ago.
    void subtract(uint32_t slot) {
      std::atomic<uint64_t>& word = words_[slot % kSlots];
      uint64_t seen = word.load(std::memory_order_relaxed);
      while (number(seen) == slot && count(seen) > 0 &&
             !word.compare_exchange_weak(seen, seen - 1, std::memory_order_relaxed)) {
      }
    }
    uint64_t sum(uint32_t slot) const {
      uint64_t total = 0;
      for (const auto& word : words_) {
        const uint64_t seen = word.load(std::memory_order_relaxed);
        if (slot - number(seen) < kSlots) total += count(seen);
      }
      return total;
    }

   private:
    static uint32_t number(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
    static uint32_t count(uint64_t word) { return static_cast<uint32_t>(word); }
    static uint64_t first(uint32_t slot) { return (uint64_t{slot} << 32) + 1; }
    static bool is_before(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

    std::array<std::atomic<uint64_t>, kSlots> words_{};
  };

  static uint32_t slot_at(TimePoint now) {
    return static_cast<uint32_t>(now.time_since_epoch() / kSlot);
  }

  alignas(64) Window requests_;
  alignas(64) Window retries_;
};

}  // namespace tidegate::upstream
