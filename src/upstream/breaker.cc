// SPDX-License-Identifier: Apache-2.0
#include "upstream/breaker.h"

#include <algorithm>

namespace tidegate::upstream {
namespace {

constexpr unsigned kFailuresShift = 20;
constexpr unsigned kSliceShift = 40;
constexpr uint64_t kSliceCountMask = (1U << 20) - 1;
constexpr uint64_t kSliceNumberMask = (1U << 24) - 1;
constexpr uint32_t kMaxDoublings = 20;

int64_t nanoseconds_of(TimePoint time) {
  return time.time_since_epoch().count();
}

/// How long it stays open the `repeats`th time in a row, counted from 0.
Duration open_for(uint32_t repeats, const config::Breaker& settings) {
  const Duration longest = std::max(settings.max_recovery_timeout, settings.recovery_timeout);
  const Duration wanted =
      settings.recovery_timeout * (int64_t{1} << std::min(repeats, kMaxDoublings));
  return std::min(wanted, longest);
}

}  // namespace

std::string Outcome::to_string() const {
  return status != 0 ? std::to_string(status) : std::string(describe(error).token);
}

bool is_failure(const Outcome& outcome, const config::Breaker& settings) {
  if (outcome.status != 0) return settings.failure_status.contains(outcome.status);
  // An origin that takes no more streams on a connection is only about to close it; what upgrades
  // are asked for is the client's doing.
  if (outcome.error == ErrorCode::StreamRefused || outcome.error == ErrorCode::UpgradeUnsupported) {
    return false;
  }
  return describe(outcome.error).side == Side::Origin;
}

std::string_view to_string(Breaker::State state) {
  constexpr std::array<std::string_view, 3> kNames{"closed", "open", "half_open"};
  return kNames[static_cast<size_t>(state)];
}

bool Breaker::allows_trial(uint64_t word, TimePoint now) const {
  if (state_of(word) == State::Open) {
    return nanoseconds_of(now) >= open_until_ns_.load(std::memory_order_relaxed);
  }
  return has_room(word) || nanoseconds_of(now) >= trials_until_ns_.load(std::memory_order_relaxed);
}

bool Breaker::has_room(uint64_t word) const {
  return trials_of(word) + successes_of(word) < max_trials_.load(std::memory_order_relaxed);
}

std::optional<Breaker::Ticket> Breaker::admit(TimePoint now) {
  uint64_t word = word_.load(std::memory_order_acquire);
  while (state_of(word) != State::Closed) {
    if (!allows_trial(word, now)) return std::nullopt;
    const bool first = state_of(word) == State::Open;
    const bool another = !first && has_room(word);
    const uint8_t round = another ? round_of(word) : (round_of(word) + 1) % kRounds;
    const uint64_t next = make_word(State::HalfOpen, another ? trials_of(word) + 1 : 1,
                                    first ? 0 : successes_of(word), period_of(word), round);
    trials_until_ns_.store(nanoseconds_of(now) + trial_limit_ns_.load(std::memory_order_relaxed),
                           std::memory_order_relaxed);
    if (word_.compare_exchange_weak(word, next, std::memory_order_acq_rel)) {
      return Ticket{period_of(word), true, round};
    }
  }
  return Ticket{period_of(word), false};
}

Breaker::Change Breaker::settle(Ticket ticket, bool failed, TimePoint now,
                                const config::Breaker& settings) {
  if (ticket.trial) return settle_trial(ticket, failed, now, settings);
  const uint64_t word = word_.load(std::memory_order_acquire);
  if (state_of(word) != State::Closed || period_of(word) != ticket.period) return Change::None;
  return count(failed, now, settings) ? Change::Wanted : Change::None;
}

Breaker::Change Breaker::settle_trial(Ticket ticket, bool failed, TimePoint now,
                                      const config::Breaker& settings) {
  uint64_t word = word_.load(std::memory_order_acquire);
  while (state_of(word) == State::HalfOpen && period_of(word) == ticket.period) {
    if (failed) {
      failures_.fetch_add(1, std::memory_order_relaxed);
      return open(word, now, settings) ? Change::Reopened : Change::None;
    }
    const uint32_t successes = successes_of(word) + 1;
    const bool enough = successes >= max_trials_.load(std::memory_order_relaxed);
    const uint32_t trials = trials_of(word) - (holds_place(ticket, word) ? 1 : 0);
    const uint64_t next =
        enough ? make_word(State::Closed, 0, 0, period_of(word) + 1)
               : make_word(State::HalfOpen, trials, successes, period_of(word), round_of(word));
    if (!word_.compare_exchange_weak(word, next, std::memory_order_acq_rel)) continue;
    if (!enough) return Change::None;
    closed_at_ns_.store(nanoseconds_of(now), std::memory_order_relaxed);
    forget();
    return Change::Closed;
  }
  return Change::None;
}

void Breaker::cancel(Ticket ticket) {
  if (!ticket.trial) return;
  uint64_t word = word_.load(std::memory_order_acquire);
  while (state_of(word) == State::HalfOpen && period_of(word) == ticket.period &&
         holds_place(ticket, word)) {
    const uint64_t next = word - (uint64_t{1} << kTrialsShift);
    if (word_.compare_exchange_weak(word, next, std::memory_order_acq_rel)) return;
  }
}

bool Breaker::trip(TimePoint now, const config::Breaker& settings) {
  const uint64_t word = word_.load(std::memory_order_acquire);
  if (state_of(word) != State::Closed) return false;
  // One that has stayed closed for as long as it would be open next has made good.
  const int64_t closed_for = nanoseconds_of(now) - closed_at_ns_.load(std::memory_order_relaxed);
  const uint32_t repeats = repeats_.load(std::memory_order_relaxed);
  if (closed_for >= open_for(repeats, settings).count()) {
    repeats_.store(0, std::memory_order_relaxed);
  }
  return open(word, now, settings);
}

bool Breaker::open(uint64_t from, TimePoint now, const config::Breaker& settings) {
  const uint32_t repeats = repeats_.load(std::memory_order_relaxed);
  const Duration lasts = open_for(repeats, settings);
  max_trials_.store(settings.half_open_requests, std::memory_order_relaxed);
  trial_limit_ns_.store(settings.trial_timeout.count(), std::memory_order_relaxed);
  open_until_ns_.store(nanoseconds_of(now + lasts), std::memory_order_relaxed);
  const uint64_t next = make_word(State::Open, 0, 0, period_of(from) + 1);
  while (!word_.compare_exchange_weak(from, next, std::memory_order_acq_rel)) {
    // Only the number of trials may have changed; any other change was somebody else's.
    if (period_of(from) + 1 != period_of(next) || state_of(from) == State::Open) return false;
  }
  repeats_.store(std::min(repeats + 1, kMaxDoublings), std::memory_order_relaxed);
  opened_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool Breaker::reset() {
  uint64_t word = word_.load(std::memory_order_acquire);
  while (!word_.compare_exchange_weak(word, make_word(State::Closed, 0, 0, period_of(word) + 1),
                                      std::memory_order_acq_rel)) {
  }
  forget();
  repeats_.store(0, std::memory_order_relaxed);
  return state_of(word) != State::Closed;
}

void Breaker::forget() {
  failures_.store(0, std::memory_order_relaxed);
  for (auto& slice : slices_) slice.store(0, std::memory_order_relaxed);
}

// True: that is enough to open.
bool Breaker::count(bool failed, TimePoint now, const config::Breaker& settings) {
  uint32_t in_a_row = 0;
  if (failed) {
    in_a_row = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
  } else if (failures_.load(std::memory_order_relaxed) != 0) {
    failures_.store(0, std::memory_order_relaxed);
  }
  const bool too_many = settings.max_failures > 0 && in_a_row >= settings.max_failures;
  if (settings.failure_rate <= 0) return too_many;

  const int64_t slice_ns = std::max<int64_t>(settings.window.count() / kSlices, 1);
  const auto number = static_cast<uint64_t>(nanoseconds_of(now) / slice_ns);
  auto& slice = slices_[number % kSlices];
  uint64_t word = slice.load(std::memory_order_relaxed);
  const auto added = [&] {
    const bool current = (word >> kSliceShift) == (number & kSliceNumberMask);
    const uint64_t before = current ? word : (number & kSliceNumberMask) << kSliceShift;
    if ((before & kSliceCountMask) == kSliceCountMask) return before;  // full
    return before + 1 + (failed ? uint64_t{1} << kFailuresShift : 0);
  };
  while (!slice.compare_exchange_weak(word, added(), std::memory_order_relaxed)) {
  }
  if (!failed) return false;
  uint64_t requests = 0;
  uint64_t failures = 0;
  for (const auto& one : slices_) {
    const uint64_t counts = one.load(std::memory_order_relaxed);
    if ((((number & kSliceNumberMask) - (counts >> kSliceShift)) & kSliceNumberMask) >= kSlices)
      continue;
    requests += counts & kSliceCountMask;
    failures += (counts >> kFailuresShift) & kSliceCountMask;
  }
  return too_many ||
         (requests >= settings.min_requests &&
          static_cast<double>(failures) >= settings.failure_rate * static_cast<double>(requests));
}

void Breaker::note_last_failure(const Outcome& outcome, TimePoint now) {
  last_failure_ns_.store(nanoseconds_of(now), std::memory_order_relaxed);
  last_failure_.store(uint32_t{outcome.status} << 16 | static_cast<uint32_t>(outcome.error),
                      std::memory_order_relaxed);
}

std::optional<Outcome> Breaker::last_failure() const {
  const uint32_t packed = last_failure_.load(std::memory_order_relaxed);
  if (packed == 0) return std::nullopt;
  return Outcome{static_cast<uint16_t>(packed >> 16), static_cast<ErrorCode>(packed & 0xffff)};
}

}  // namespace tidegate::upstream
