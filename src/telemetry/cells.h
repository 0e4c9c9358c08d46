// SPDX-License-Identifier: Apache-2.0
// The cells that the data path counts in. Each belongs to one thread, its only writer, so an
// increment is a plain load and store; another thread may read at any time and sees some recent
// value. Owned by a Shard of the Registry, which merges them when scraped.
#pragma once
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace tidegate::telemetry {

/// Only grows.
class Counter {
 public:
  void add(uint64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  /// For counters of time, which are kept in nanoseconds.
  void add(Duration by) { add(by.count() > 0 ? static_cast<uint64_t>(by.count()) : 0); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

/// Goes up and down. The workers' parts are summed, or the largest taken, as its family says.
class Gauge {
 public:
  void add(int64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void subtract(int64_t by = 1) { add(-by); }
  void set(int64_t to) { value_.store(to, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

/// Ascending bucket bounds of a histogram, as integers of a small unit (nanoseconds, bytes). A
/// table by bit width leads to the bucket in at most three comparisons.
struct Scale {
  static constexpr size_t kMaxBounds = 20;

  double per_unit;  // integers in one printed unit: 1e9 nanoseconds in a second
  size_t count;     // bounds without +Inf
  std::array<uint64_t, kMaxBounds + 1> bounds{};  // bounds[count] is the largest integer: +Inf
  std::array<uint8_t, 65> first{};                // by bit width: the lowest bucket that can match

  template <size_t N>
  constexpr Scale(double integers_per_unit, const uint64_t (&ascending)[N])
      : per_unit(integers_per_unit), count(N) {
    static_assert(N <= kMaxBounds);
    for (size_t i = 0; i < N; ++i) bounds[i] = ascending[i];
    bounds[N] = UINT64_MAX;
    for (size_t width = 0; width < first.size(); ++width) {
      const uint64_t least = width == 0 ? 0 : uint64_t{1} << (width - 1);
      while (bounds[first[width]] < least) ++first[width];
    }
  }
  size_t bucket(uint64_t value) const {
    size_t i = first[static_cast<size_t>(std::bit_width(value))];
    while (value > bounds[i]) ++i;
    return i;
  }
};

/// 100 µs to one minute, observed in nanoseconds.
inline constexpr Scale kSeconds{
    1e9,
    {100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 25'000'000, 50'000'000,
     100'000'000, 250'000'000, 500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000,
     10'000'000'000, 30'000'000'000, 60'000'000'000}};

/// 64 bytes to 4 GiB in steps of four.
inline constexpr Scale kBytes{
    1.0,
    {uint64_t{1} << 6, uint64_t{1} << 8, uint64_t{1} << 10, uint64_t{1} << 12, uint64_t{1} << 14,
     uint64_t{1} << 16, uint64_t{1} << 18, uint64_t{1} << 20, uint64_t{1} << 22, uint64_t{1} << 24,
     uint64_t{1} << 26, uint64_t{1} << 28, uint64_t{1} << 30, uint64_t{1} << 32}};

/// Distribution of integers over a Scale.
class Histogram {
 public:
  explicit Histogram(const Scale& scale) : scale_(scale) {}

  void observe(uint64_t value) {
    buckets_[scale_.bucket(value)].add();
    sum_.add(value);
  }
  void observe(Duration value) {
    observe(value.count() > 0 ? static_cast<uint64_t>(value.count()) : 0);
  }
  /// Observations in bucket `i` alone, not cumulated; bucket scale().count is the open one.
  uint64_t in_bucket(size_t i) const { return buckets_[i].value(); }
  uint64_t sum() const { return sum_.value(); }
  const Scale& scale() const { return scale_; }

 private:
  const Scale& scale_;
  Counter sum_;
  std::array<Counter, Scale::kMaxBounds + 1> buckets_;
};

/// One counter per HTTP status. Most routes see a handful of statuses, so memory comes by the
/// hundred when the first of a class is counted; only then does `add` allocate.
class StatusCounters {
 public:
  static constexpr unsigned kLowest = 100;
  static constexpr unsigned kClasses = 5;

  StatusCounters() = default;
  StatusCounters(const StatusCounters&) = delete;
  StatusCounters& operator=(const StatusCounters&) = delete;
  ~StatusCounters() {
    for (auto& block : classes_) delete block.load(std::memory_order_relaxed);
  }

  /// A status outside 100 to 599 counts as 599.
  void add(unsigned status) {
    const unsigned at = status - kLowest < kClasses * 100 ? status - kLowest : kClasses * 100 - 1;
    Block* block = classes_[at / 100].load(std::memory_order_relaxed);
    if (block == nullptr) {
      block = new Block;
      classes_[at / 100].store(block, std::memory_order_release);
    }
    (*block)[at % 100].add();
  }
  uint64_t value(unsigned status) const {
    const Block* block = classes_[(status - kLowest) / 100].load(std::memory_order_acquire);
    return block == nullptr ? 0 : (*block)[(status - kLowest) % 100].value();
  }

 private:
  using Block = std::array<Counter, 100>;
  std::array<std::atomic<Block*>, kClasses> classes_{};
};

}  // namespace tidegate::telemetry
