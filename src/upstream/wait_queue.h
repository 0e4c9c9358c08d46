// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/intrusive_list.h"

namespace tidegate::upstream {

/// A queue that is fair over clients: each waiter stands in one of 64 lines, by a hash of its
/// client, and the lines are served in turn, each in its own order. However many one client has
/// waiting, the next of another is at most 63 places away. All in constant time. T must be a
/// ListNode<T> with a member `line`; a waiter that leaves by itself just unlinks.
template <class T>
class WaitQueue {
 public:
  static constexpr size_t kLines = 64;

  void push_back(T& waiter) {
    const size_t line = waiter.line % kLines;
    lines_[line].push_back(waiter);
    waiting_ |= uint64_t{1} << line;
  }
  /// REQUIRES: there is one.
  T& pop_front() {
    while (true) {
      // The first line with a waiter from the next one on, around the ring.
      const auto ahead = static_cast<size_t>(std::countr_zero(std::rotr(waiting_, next_)));
      const size_t line = (static_cast<size_t>(next_) + ahead) % kLines;
      next_ = static_cast<int>((line + 1) % kLines);
      const bool some = !lines_[line].empty();
      T* waiter = some ? &lines_[line].pop_front() : nullptr;
      if (lines_[line].empty()) waiting_ &= ~(uint64_t{1} << line);
      if (waiter != nullptr) return *waiter;
    }
  }

 private:
  std::array<List<T>, kLines> lines_;
  uint64_t waiting_ = 0;  // a bit for each line that may have a waiter
  int next_ = 0;
};

}  // namespace tidegate::upstream
