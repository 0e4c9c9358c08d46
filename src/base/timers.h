// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace tidegate {

class Timers;

/// One time-out of some object. Arming and disarming cost a few stores; a timer disarms itself when
/// destroyed. Lives in the thread of its Timers.
class Timer {
 public:
  using Fire = void (*)(void* owner);

  Timer(Fire fire, void* owner) : fire_(fire), owner_(owner) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { disarm(); }

  bool armed() const { return next_ != nullptr; }
  void disarm() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  friend class Timers;
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  TimePoint deadline_{};
  Fire fire_;
  void* owner_;
};

/// All timers of one event loop, as one FIFO list per duration: equal durations expire in the order
/// they were armed in, so arming appends, and the sweep looks only at list heads. Not thread-safe.
class Timers {
 public:
  explicit Timers(Clock& clock) : clock_(clock) {}
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  /// (Re)arms `timer` to fire once, `after` from now; a hundred years are the longest.
  void arm(Timer& timer, Duration after);
  /// When the next one is due; nothing armed: nullopt.
  std::optional<TimePoint> next_deadline() const;
  /// Fires what is due; a timer may arm, disarm or destroy any timer, itself included.
  void sweep();

 private:
  struct List {
    explicit List(Duration d);
    Duration duration;
    Duration asked;  // what was asked for last and rounded up to it
    Timer head;      // circular; holds no timer itself
  };
  List& list_for(Duration asked);
  List& list_of(Duration after);
  void drop_empty_lists();

  Clock& clock_;
  std::vector<std::unique_ptr<List>> lists_;
  List* last_used_ = nullptr;
};

}  // namespace tidegate
