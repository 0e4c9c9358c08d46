// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/uio.h>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string_view>

#include "telemetry/access_format.h"
#include "telemetry/cells.h"

namespace tidegate::telemetry {

/// Bytes from one writing thread to one reading thread, without locks. Whole pieces go in or not at
/// all.
class ByteRing {
 public:
  /// `capacity` must be a power of two.
  explicit ByteRing(size_t capacity)
      : capacity_(capacity), bytes_(std::make_unique_for_overwrite<char[]>(capacity)) {}

  // The writing side.
  bool push(std::string_view piece);
  /// May be more than there is, never less.
  size_t used() const {
    return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_relaxed);
  }
  size_t capacity() const { return capacity_; }

  // The reading side: what waits, in one or two pieces, and how much of it has been dealt with.
  size_t peek(iovec (&to)[2]) const;
  void consume(size_t size) {
    tail_.store(tail_.load(std::memory_order_relaxed) + size, std::memory_order_release);
  }

 private:
  const size_t capacity_;
  const std::unique_ptr<char[]> bytes_;
  alignas(64) std::atomic<size_t> head_{0};
  size_t known_tail_ = 0;  // the writing side's last look at tail_
  alignas(64) std::atomic<size_t> tail_{0};
};

/// What all access logs and the thread that writes them share.
struct AccessLogControl {
  std::atomic<bool> enabled{false};
  std::atomic<log::Format> format{log::Format::Json};
  std::atomic<bool> idle{false};  // the thread sleeps until it is woken
  int wake_fd = -1;
};

/// The access log of one worker, used in its thread only. Owned by the AccessLogWriter. Never
/// waits: a line that finds no room is dropped and counted.
class AccessLog {
 public:
  static constexpr size_t kRingBytes = size_t{1} << 20;

  AccessLog(AccessLogControl& control, Counter& dropped, size_t ring_bytes = kRingBytes);

  /// False: off. Then there is no need to fill a record in.
  bool enabled() const { return control_.enabled.load(std::memory_order_relaxed); }
  void write(const AccessRecord& record);

 private:
  friend class AccessLogWriter;
  void wake();

  AccessLogControl& control_;
  Counter& dropped_;
  ByteRing ring_;
  bool woken_by_half_ = false;
  LineBuffer line_;
  TimestampText timestamps_;
};

}  // namespace tidegate::telemetry
