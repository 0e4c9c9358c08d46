// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace tidegate::proxy {

/// A few words of state for each of many keys, shared by all workers, in a fixed amount of memory
/// that the kernel lends page by page as keys come. A key is the 64-bit keyed hash of a text.
///
/// Words that have `expired` (the caller says so) mean the same as words never used, so a new key
/// may take their place and nothing is lost; others are never evicted. Where a key finds no place,
/// it shares the words of its bucket's overflow with others that found none: an attacker with a
/// million keys can make strangers share a count, but neither reset one nor use more memory.
///
/// Finding a key takes no lock. Entering a new one takes the spin lock of its bucket of eight for
/// some twenty nanoseconds: two threads must not enter the same key twice, and thousands of buckets
/// make it all but impossible that one waits for the other.
class KeyTable {
 public:
  /// Room for `max_keys` and, since they fall unevenly, some more.
  KeyTable(size_t max_keys, size_t words_per_key);

  /// Gives what `use(words)` gives, called with the words of `key`; more than once if another key
  /// took the place meanwhile. Both functions access words atomically, `use` changes them by
  /// sequentially consistent operations. Words start as zeros, which must count as expired.
  template <class Expired, class Use>
  auto with(uint64_t key, const Expired& expired, const Use& use) {
    key = key <= kBusy ? key + 2 : key;
    while (true) {
      const Place place = locate(key, expired);
      auto result = use(words_.get() + place.words);
      if (place.tag == nullptr || holds(*place.tag, key)) return result;
    }
  }

  size_t memory_bytes() const {
    return slots_ * 8 + bucket_count_ * (kWays + 1) * words_per_key_ * 8;
  }
  /// Times a key had to share an overflow.
  uint64_t overflows() const { return overflows_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kWays = 8;
  static constexpr uint64_t kEmpty = 0;
  static constexpr uint64_t kBusy = 1;  // being handed to another key

  struct Place {
    std::atomic<uint64_t>* tag;  // nullptr: the overflow
    size_t words;
  };

  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  // Whoever uses words of a key that is being evicted either makes the evicter see them as live, or
  // sees here that they have changed hands: use writes the words and then reads the tag, the
  // evicter writes the tag and then reads the words.
  static bool holds(std::atomic<uint64_t>& tag, uint64_t key) {
    uint64_t seen = tag.load();
    while (seen == kBusy) seen = tag.load();
    return seen == key;
  }

  Place place(size_t bucket, size_t way) {
    return {way == kWays ? nullptr : &tags_[bucket * kWays + way],
            (bucket * (kWays + 1) + way) * words_per_key_};
  }
  bool find(size_t bucket, uint64_t key, Place& to) {
    for (size_t way = 0; way < kWays; ++way) {
      if (tags_[bucket * kWays + way].load(std::memory_order_acquire) != key) continue;
      to = place(bucket, way);
      return true;
    }
    return false;
  }
  template <class Expired>
  Place locate(uint64_t key, const Expired& expired) {
    const size_t bucket = (key >> 7) & (bucket_count_ - 1);
    Place found{};
    if (find(bucket, key, found)) return found;
    lock(bucket);
    if (!find(bucket, key, found)) found = enter(bucket, key, expired);
    locks_[bucket].clear(std::memory_order_release);
    return found;
  }
  template <class Expired>
  Place enter(size_t bucket, uint64_t key, const Expired& expired) {
    for (size_t way = 0; way < kWays; ++way) {
      const Place here = place(bucket, way);
      const uint64_t before = here.tag->load();
      if (before != kEmpty && !expired(words_.get() + here.words)) continue;
      here.tag->store(kBusy);
      const bool free = before == kEmpty || expired(words_.get() + here.words);
      here.tag->store(free ? key : before);
      if (free) return here;
    }
    overflows_.fetch_add(1, std::memory_order_relaxed);
    return place(bucket, kWays);
  }
  void lock(size_t bucket);

  const size_t words_per_key_;
  const size_t bucket_count_;  // a power of two
  const size_t slots_;
  std::unique_ptr<std::atomic<uint64_t>[]> tags_;
  std::unique_ptr<std::atomic_flag[]> locks_;
  std::unique_ptr<uint64_t[], Free> words_;
  std::atomic<uint64_t> overflows_{0};
};

}  // namespace tidegate::proxy
