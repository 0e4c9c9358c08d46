// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <utility>

#include "base/intrusive_list.h"

namespace tidegate::upstream {

/// Lets so many health checks be under way at once, so that thousands of slow endpoints take
/// neither the descriptors nor the time of those who serve; the others wait in the order in which
/// they came. One thread.
class CheckQueue {
 public:
  class Check : public ListNode<Check> {
   public:
    virtual ~Check() = default;

   private:
    friend class CheckQueue;
    /// It may begin now. Must not end from inside.
    virtual void begin() = 0;
    bool under_way_ = false;
  };

  void set_most(size_t most) {
    most_ = most;
    serve();
  }
  size_t under_way() const { return under_way_; }

  /// Begins `check` as soon as there is room, unless it waits or is under way already.
  void ask(Check& check) {
    if (check.under_way_ || check.linked()) return;
    waiting_.push_back(check);
    serve();
  }
  /// It is over, or not to be made any more.
  void ended(Check& check) {
    check.unlink();
    if (!std::exchange(check.under_way_, false)) return;
    --under_way_;
    serve();
  }
  /// None begins until `resume`.
  void pause() { paused_ = true; }
  void resume() {
    paused_ = false;
    serve();
  }

 private:
  void serve() {
    while (!paused_ && under_way_ < most_ && !waiting_.empty()) {
      Check& check = waiting_.pop_front();
      check.under_way_ = true;
      ++under_way_;
      check.begin();
    }
  }

  List<Check> waiting_;
  size_t most_ = 1;
  size_t under_way_ = 0;
  bool paused_ = false;
};

}  // namespace tidegate::upstream
