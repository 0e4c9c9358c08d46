// SPDX-License-Identifier: Apache-2.0
#include "proxy/key_table.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <new>

namespace tidegate::proxy {

KeyTable::KeyTable(size_t max_keys, size_t words_per_key)
    : words_per_key_(words_per_key),
      bucket_count_(std::bit_ceil(std::max<size_t>(max_keys * 4 / 3 / kWays, 1))),
      slots_(bucket_count_ * kWays),
      tags_(std::make_unique<std::atomic<uint64_t>[]>(slots_)),
      locks_(std::make_unique<std::atomic_flag[]>(bucket_count_)),
      words_(static_cast<uint64_t*>(
          std::calloc(bucket_count_ * (kWays + 1) * words_per_key, sizeof(uint64_t)))) {
  if (words_ == nullptr) throw std::bad_alloc();
}

void KeyTable::lock(size_t bucket) {
  constexpr int kSpins = 100;
  for (int spins = 0; locks_[bucket].test_and_set(std::memory_order_acquire); ++spins) {
    // The holder has lost its core in between: let it have this one.
    if (spins >= kSpins) ::sched_yield();
  }
}

}  // namespace tidegate::proxy
