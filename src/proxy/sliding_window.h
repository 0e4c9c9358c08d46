// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace tidegate::proxy {

/// A true sliding window: at most `limit` pass in any stretch of time as long as `period`.
///
/// It remembers when the requests that passed did so, as a ring of the times at which every
/// `group`-th one passed, and lets a request pass when the one `limit` before it is older than the
/// period. Up to 128 a period each is remembered, and it is exact but for the tick of time, a
/// 16384th of the period. Above, a group counts as late as its last one, so it never lets too many
/// pass, and refuses only while more than `limit` less a 128th have passed within the period.
///
/// The words are the caller's and shared by threads, without a lock: the count of those that passed
/// and the time of the last are one word, changed by one compare-exchange; ring words follow it,
/// and one that lags behind is seen to, and replaced by the time of the last one, which errs to the
/// safe side. Times are since a moment of the caller's choice, and never negative.
class SlidingWindow {
 public:
  static constexpr uint64_t kMaxLimit = 200'000;

  /// REQUIRES: 0 < limit <= kMaxLimit.
  SlidingWindow(uint64_t limit, Duration period);

  size_t words() const { return 1 + slots_; }
  uint64_t capacity() const { return limit_; }
  /// True: taken. False: nothing was, and `retry_after` says when it could be, if no one else
  /// takes. REQUIRES: cost <= capacity().
  bool take(uint64_t* words, Duration now, uint64_t cost, Duration& retry_after) const;
  /// What `take` would say at this moment; takes nothing.
  bool ask(uint64_t* words, Duration now, uint64_t cost, Duration& retry_after) const;
  uint64_t remaining(uint64_t* words, Duration now) const;
  /// Until all of the capacity is there again.
  Duration reset(uint64_t* words, Duration now) const;
  bool expired(uint64_t* words, Duration now) const;

 private:
  uint64_t tick_of(Duration time) const;
  /// It is so long ago that it no longer counts.
  bool left(uint64_t tick, uint64_t now) const;
  Duration until_left(uint64_t tick, Duration now) const;
  /// After those that `state` counts there is room for `cost` more.
  bool fits(uint64_t* words, uint64_t state, Duration now, uint64_t cost,
            Duration& retry_after) const;
  /// When the group of the request with this number was complete, or a later time.
  uint64_t group_time(uint64_t* words, uint64_t number, uint64_t last) const;
  void note_groups(uint64_t* words, uint64_t from, uint64_t to, uint64_t tick) const;

  const uint64_t limit_;
  const uint64_t group_;   // requests to one word of the ring
  const uint64_t slots_;   // words in the ring
  const uint64_t wrap_;    // what is taken off the count when it reaches `wrap_` and one ring
  const uint64_t tick_;    // in nanoseconds
  const uint64_t window_;  // the period in ticks
};

}  // namespace tidegate::proxy
