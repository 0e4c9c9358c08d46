// SPDX-License-Identifier: Apache-2.0
#include "telemetry/access_log.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace tidegate::telemetry {

bool ByteRing::push(std::string_view piece) {
  const size_t head = head_.load(std::memory_order_relaxed);
  if (capacity_ - (head - known_tail_) < piece.size()) {
    known_tail_ = tail_.load(std::memory_order_acquire);
    if (capacity_ - (head - known_tail_) < piece.size()) return false;
  }
  const size_t at = head & (capacity_ - 1);
  const size_t before_end = std::min(piece.size(), capacity_ - at);
  std::memcpy(bytes_.get() + at, piece.data(), before_end);
  std::memcpy(bytes_.get(), piece.data() + before_end, piece.size() - before_end);
  head_.store(head + piece.size(), std::memory_order_release);
  return true;
}

size_t ByteRing::peek(iovec (&to)[2]) const {
  const size_t tail = tail_.load(std::memory_order_relaxed);
  const size_t waiting = head_.load(std::memory_order_acquire) - tail;
  const size_t at = tail & (capacity_ - 1);
  const size_t before_end = std::min(waiting, capacity_ - at);
  to[0] = {bytes_.get() + at, before_end};
  to[1] = {bytes_.get(), waiting - before_end};
  return waiting;
}

AccessLog::AccessLog(AccessLogControl& control, Counter& dropped, size_t ring_bytes)
    : control_(control), dropped_(dropped), ring_(ring_bytes) {}

void AccessLog::write(const AccessRecord& record) {
  line_.clear();
  format_access(record, control_.format.load(std::memory_order_relaxed), timestamps_, line_);
  if (!ring_.push(line_.view())) dropped_.add();
  // Woken by the first line after a silence; then the thread comes by itself every now and then,
  // and early only where the ring is filling up.
  const bool half_full = ring_.used() > ring_.capacity() / 2;
  if ((half_full && !woken_by_half_) || control_.idle.load(std::memory_order_relaxed)) wake();
  woken_by_half_ = half_full;
}

void AccessLog::wake() {
  control_.idle.store(false, std::memory_order_relaxed);
  const uint64_t one = 1;
  // The counter of an eventfd cannot overflow here, and a lost wake-up only costs time.
  [[maybe_unused]] const ssize_t written = ::write(control_.wake_fd, &one, sizeof one);
}

}  // namespace tidegate::telemetry
