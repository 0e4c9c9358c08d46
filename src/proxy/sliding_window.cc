// SPDX-License-Identifier: Apache-2.0
#include "proxy/sliding_window.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace tidegate::proxy {
namespace {

// A word: how many have passed, and the tick of the last of them, modulo 2^42.
constexpr unsigned kTickBits = 42;
constexpr uint64_t kTickMask = (uint64_t{1} << kTickBits) - 1;
constexpr uint64_t kCounts = uint64_t{1} << (64 - kTickBits);
constexpr uint64_t kTicks = 16384;  // in a period
constexpr uint64_t kRing = 128;

uint64_t pack(uint64_t count, uint64_t tick) {
  return (count << kTickBits) | (tick & kTickMask);
}
uint64_t count_in(uint64_t word) {
  return word >> kTickBits;
}
uint64_t tick_in(uint64_t word) {
  return word & kTickMask;
}
uint64_t load(uint64_t& word) {
  return std::atomic_ref<uint64_t>(word).load();
}

constexpr uint64_t divide_up(uint64_t a, uint64_t b) {
  return (a + b - 1) / b;
}

// Ticks since; 0 if `tick` is ahead of `now`.
uint64_t age(uint64_t tick, uint64_t now) {
  const uint64_t since = (now - tick) & kTickMask;
  return since > kTickMask / 2 ? 0 : since;
}

uint64_t nanoseconds(Duration time) {
  return static_cast<uint64_t>(time.count());
}

}  // namespace

SlidingWindow::SlidingWindow(uint64_t limit, Duration period)
    : limit_(limit),
      group_(divide_up(limit, kRing)),
      slots_(divide_up(limit, group_) + 1),
      wrap_((kCounts / (group_ * slots_) - 2) * group_ * slots_),
      tick_(divide_up(nanoseconds(period), kTicks)),
      window_(divide_up(nanoseconds(period), tick_)) {}

// Never 0 or near it, since words begin as zeros and must seem old.
uint64_t SlidingWindow::tick_of(Duration time) const {
  return nanoseconds(time) / tick_ + 2 * kTicks;
}

bool SlidingWindow::left(uint64_t tick, uint64_t now) const {
  return age(tick, now) >= window_;
}

Duration SlidingWindow::until_left(uint64_t tick, Duration now) const {
  const uint64_t ahead = (tick + window_ - tick_of(now)) & kTickMask;
  if (ahead > kTickMask / 2) return Duration::zero();
  return Duration(static_cast<int64_t>(ahead * tick_ - nanoseconds(now) % tick_));
}

uint64_t SlidingWindow::group_time(uint64_t* words, uint64_t number, uint64_t last) const {
  const uint64_t group = number / group_;
  const uint64_t word = load(words[1 + group % slots_]);
  // Not complete, or its word is still to come.
  if (count_in(word) != (group + 1) * group_ % wrap_) return last;
  return tick_in(word);
}

void SlidingWindow::note_groups(uint64_t* words, uint64_t from, uint64_t to, uint64_t tick) const {
  for (uint64_t group = from / group_; (group + 1) * group_ <= to; ++group) {
    std::atomic_ref<uint64_t>(words[1 + group % slots_])
        .store(pack((group + 1) * group_ % wrap_, tick));
  }
}

bool SlidingWindow::fits(uint64_t* words, uint64_t state, Duration now, uint64_t cost,
                         Duration& retry_after) const {
  const uint64_t count = count_in(state);
  // A count below the limit is that of a window which has never been full.
  if (count + cost <= limit_) return true;
  const uint64_t leaver = group_time(words, count + cost - 1 - limit_, tick_in(state));
  if (left(leaver, tick_of(now))) return true;
  retry_after = until_left(leaver, now);
  return false;
}

bool SlidingWindow::take(uint64_t* words, Duration now, uint64_t cost,
                         Duration& retry_after) const {
  std::atomic_ref<uint64_t> state(words[0]);
  const uint64_t tick = tick_of(now);
  uint64_t before = state.load();
  while (true) {
    if (!fits(words, before, now, cost, retry_after)) {
      const uint64_t seen = std::exchange(before, state.load());
      if (seen != before) continue;
      return false;
    }
    const uint64_t count = count_in(before);
    const uint64_t last = tick_in(before);
    // Rounded up, so that it is not taken for older than it is; and no earlier than the last.
    const uint64_t stamp = age(last, tick + 1) == 0 ? last : tick + 1;
    const uint64_t after = count + cost;
    const uint64_t kept = after >= wrap_ + group_ * slots_ ? after - wrap_ : after;
    if (!state.compare_exchange_weak(before, pack(kept, stamp))) continue;
    note_groups(words, count, after, stamp);
    return true;
  }
}

bool SlidingWindow::ask(uint64_t* words, Duration now, uint64_t cost, Duration& retry_after) const {
  uint64_t before = load(words[0]);
  while (!fits(words, before, now, cost, retry_after)) {
    const uint64_t seen = std::exchange(before, load(words[0]));
    if (seen == before) return false;
  }
  return true;
}

uint64_t SlidingWindow::remaining(uint64_t* words, Duration now) const {
  const uint64_t state = load(words[0]);
  const uint64_t tick = tick_of(now);
  const uint64_t last = tick_in(state);
  if (left(last, tick)) return limit_;
  // The first that still counts; times only grow.
  uint64_t low = count_in(state) > limit_ ? count_in(state) - limit_ : 0;
  uint64_t high = count_in(state);
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (left(group_time(words, middle, last), tick)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return limit_ - (count_in(state) - low);
}

Duration SlidingWindow::reset(uint64_t* words, Duration now) const {
  return until_left(tick_in(load(words[0])), now);
}

bool SlidingWindow::expired(uint64_t* words, Duration now) const {
  return left(tick_in(load(words[0])), tick_of(now));
}

}  // namespace tidegate::proxy
