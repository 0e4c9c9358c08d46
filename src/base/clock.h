// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>

namespace tidegate {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::steady_clock::time_point;

/// Monotonic time of one event loop, read at most once per loop turn. Not thread-safe: one per
/// worker. Tests own a clock that is set by hand and never reads the system's.
class Clock {
 public:
  /// Follows the system's steady clock.
  Clock() = default;
  /// Stands still at `start` until `advance`.
  explicit Clock(TimePoint start) : now_(start), manual_(true), fresh_(true) {}

  TimePoint now() {
    if (!fresh_) {
      now_ = std::chrono::steady_clock::now();
      fresh_ = true;
    }
    return now_;
  }
  /// A new loop turn begins: the next `now` reads the time again.
  void expire() { fresh_ = manual_; }
  void advance(Duration by) { now_ += by; }

 private:
  TimePoint now_{};
  bool manual_ = false;
  bool fresh_ = false;
};

}  // namespace tidegate
