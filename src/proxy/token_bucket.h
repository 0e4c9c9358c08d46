// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace tidegate::proxy {

/// Token bucket as one number: the time by which all that was taken will have been earned (the
/// "theoretical arrival time" of the generic cell rate algorithm). In any time t at most
/// burst + rate × t pass. The settings of one limit; the number is the caller's, and shared by
/// threads. Times are since a moment of the caller's choice, and never negative.
class TokenBucket {
 public:
  static constexpr uint64_t kMaxBurst = 100'000;

  /// REQUIRES: period up to an hour, 0 < burst <= kMaxBurst.
  TokenBucket(uint64_t rate, Duration period, uint64_t burst);

  static constexpr size_t words() { return 1; }
  uint64_t capacity() const { return burst_; }
  /// True: taken. False: nothing was, and `retry_after` says when it could be, if no one else
  /// takes.
  bool take(uint64_t* word, Duration now, uint64_t cost, Duration& retry_after) const;
  /// What `take` would say at this moment; takes nothing.
  bool ask(uint64_t* word, Duration now, uint64_t cost, Duration& retry_after) const;
  uint64_t remaining(uint64_t* word, Duration now) const;
  /// Until all of the capacity is there again.
  Duration reset(uint64_t* word, Duration now) const;
  bool expired(uint64_t* word, Duration now) const;

 private:
  const uint64_t burst_;
  const uint64_t interval_;   // between two tokens, in sixteenths of a nanosecond
  const uint64_t tolerance_;  // burst × interval
};

}  // namespace tidegate::proxy
