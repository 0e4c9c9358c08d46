// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "config/breaker.h"

namespace tidegate::upstream {

/// How an attempt went: the origin's status, or the error that ended it before there was one.
struct Outcome {
  uint16_t status = 0;  // 0: `error` says it
  ErrorCode error = ErrorCode::None;
  /// "503" or "connect_failed".
  std::string to_string() const;
};

/// True: `outcome` speaks against the endpoint. Errors of the origin's side do, and the statuses
/// that `settings` names; what the client or the proxy did is no evidence.
bool is_failure(const Outcome& outcome, const config::Breaker& settings);

/// The breaker of one endpoint. A pure state machine of atomics, shared by all workers without a
/// lock; time is an argument.
///
///             too many failures, and the cluster can spare it
///     closed ────────────────────────────────────────────────▶ open ◀──┐
///        ▲                                                      │      │ a trial
///        │ as many trials               recovery_timeout is over,      │ failed
///        │ succeeded as there may be    and somebody asks       ▼      │
///        └───────────────────────────────────────────────── half-open ─┘
class Breaker {
 public:
  enum class State : uint8_t { Closed, Open, HalfOpen };

  /// Leave to make one attempt; to be given back by exactly one of settle and cancel.
  struct Ticket {
    uint32_t period = 0;  // what belongs to an earlier period counts no more
    bool trial = false;
    uint8_t round = 0;  // of trials; those of an earlier round hold no place any more
  };
  enum class Change : uint8_t {
    None,
    Wanted,    // it should open: `trip` it, if the cluster can spare the endpoint
    Reopened,  // a trial failed
    Closed,
  };

  State state() const { return state_of(word_.load(std::memory_order_acquire)); }
  /// `admit` would say yes. One load while it is closed.
  bool allows(TimePoint now) const {
    const uint64_t word = word_.load(std::memory_order_acquire);
    return state_of(word) == State::Closed || allows_trial(word, now);
  }
  /// Since when trials are, or will be, allowed. REQUIRES: open.
  TimePoint open_until() const {
    return TimePoint(Duration(open_until_ns_.load(std::memory_order_relaxed)));
  }

  /// While half-open: when the trials under way have taken so long that others may start.
  TimePoint trials_until() const {
    return TimePoint(Duration(trials_until_ns_.load(std::memory_order_relaxed)));
  }

  /// Nothing: it is open, or enough trials are under way. Those that have been under way for
  /// `trial_timeout` do not count: an origin that hangs keeps nobody from asking again.
  std::optional<Ticket> admit(TimePoint now);
  Change settle(Ticket ticket, bool failed, TimePoint now, const config::Breaker& settings);
  /// The attempt ended without evidence.
  void cancel(Ticket ticket);
  /// Opens it, if it is closed; false: somebody else has.
  bool trip(TimePoint now, const config::Breaker& settings);
  /// Closes it and forgets everything but its counts. True: it was not closed.
  bool reset();

  void note_last_failure(const Outcome& outcome, TimePoint now);
  /// Failures in a row.
  uint32_t failures() const { return failures_.load(std::memory_order_relaxed); }
  /// Nothing: none so far.
  std::optional<Outcome> last_failure() const;
  TimePoint last_failure_at() const {
    return TimePoint(Duration(last_failure_ns_.load(std::memory_order_relaxed)));
  }
  /// Times it has opened, from closed or again.
  uint64_t opened() const { return opened_.load(std::memory_order_relaxed); }

 private:
  // The word: period 32 bits │ round 4 │ successful trials 12 │ trials under way 12 │ state 4.
  // Every change of state is one compare-and-swap, so exactly one thread makes it. A round ends
  // when its trials have taken too long.
  static constexpr unsigned kTrialsShift = 4;
  static constexpr unsigned kSuccessesShift = 16;
  static constexpr unsigned kRoundShift = 28;
  static constexpr unsigned kPeriodShift = 32;
  static constexpr uint64_t kCountMask = (1U << 12) - 1;
  static constexpr uint8_t kRounds = 16;
  static constexpr size_t kSlices = 10;  // of the window

  static State state_of(uint64_t word) { return static_cast<State>(word & 0xf); }
  static uint32_t trials_of(uint64_t word) {
    return static_cast<uint32_t>((word >> kTrialsShift) & kCountMask);
  }
  static uint32_t successes_of(uint64_t word) {
    return static_cast<uint32_t>((word >> kSuccessesShift) & kCountMask);
  }
  static uint8_t round_of(uint64_t word) { return (word >> kRoundShift) % kRounds; }
  static uint32_t period_of(uint64_t word) { return static_cast<uint32_t>(word >> kPeriodShift); }
  static uint64_t make_word(State state, uint32_t trials, uint32_t successes, uint32_t period,
                            uint8_t round = 0) {
    return static_cast<uint64_t>(state) | uint64_t{trials} << kTrialsShift |
           uint64_t{successes} << kSuccessesShift | uint64_t{round} << kRoundShift |
           uint64_t{period} << kPeriodShift;
  }
  /// The trial that `ticket` stands for is among those counted in `word`.
  static bool holds_place(Ticket ticket, uint64_t word) {
    return round_of(word) == ticket.round && trials_of(word) > 0;
  }

  bool allows_trial(uint64_t word, TimePoint now) const;
  bool has_room(uint64_t word) const;
  Change settle_trial(Ticket ticket, bool failed, TimePoint now, const config::Breaker& settings);
  bool count(bool failed, TimePoint now, const config::Breaker& settings);
  bool open(uint64_t from, TimePoint now, const config::Breaker& settings);
  void forget();

  std::atomic<uint64_t> word_{0};
  std::atomic<int64_t> open_until_ns_{0};  // of `open`: written before the word
  std::atomic<int64_t> closed_at_ns_{0};
  std::atomic<uint32_t> repeats_{0};  // openings in a row, each longer than the one before
  std::atomic<uint32_t> max_trials_{1};
  std::atomic<int64_t> trial_limit_ns_{0};
  std::atomic<int64_t> trials_until_ns_{0};  // of those under way: written before the word
  std::atomic<uint32_t> failures_{0};
  std::atomic<uint64_t> opened_{0};
  std::atomic<uint32_t> last_failure_{0};  // status in the upper half, error in the lower; 0: none
  std::atomic<int64_t> last_failure_ns_{0};
  // Slices of the window: slice number 24 bits │ failures 20 │ requests 20.
  std::array<std::atomic<uint64_t>, kSlices> slices_{};
};

std::string_view to_string(Breaker::State state);  // "closed", "open", "half_open"

}  // namespace tidegate::upstream
