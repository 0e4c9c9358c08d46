// SPDX-License-Identifier: Apache-2.0
#include "base/timers.h"

#include <algorithm>
#include <bit>

namespace tidegate {
namespace {

// Scripts may sleep for any number of distinct durations; lists beyond this are dropped when empty.
constexpr size_t kListsKept = 16;

// Far enough, and far from where moments in time overflow.
constexpr Duration kLongest = std::chrono::hours(24) * 365 * 100;

// Milliseconds are what epoll can wait. Longer durations are rounded up to a 64th of themselves at
// most, so that a script's random sleeps can not make a list each.
Duration round_up(Duration after) {
  constexpr int64_t kMillisecond = 1'000'000;
  after = std::min(after, kLongest);
  const uint64_t ms =
      after.count() <= kMillisecond
          ? 1
          : static_cast<uint64_t>((after.count() + kMillisecond - 1) / kMillisecond);
  const uint64_t grain = uint64_t{1} << (ms < 128 ? 0 : std::bit_width(ms) - 7);
  return std::chrono::milliseconds((ms + grain - 1) & ~(grain - 1));
}

}  // namespace

Timers::List::List(Duration d) : duration(d), asked(d), head(nullptr, nullptr) {}

// Compares unrounded durations: timers of one kind are always armed for the same one, so most calls
// need no rounding.
Timers::List& Timers::list_for(Duration asked) {
  if (last_used_ != nullptr && last_used_->asked == asked) return *last_used_;
  for (auto& list : lists_) {
    if (list->asked == asked) return *(last_used_ = list.get());
  }
  List& list = list_of(round_up(asked));
  list.asked = asked;
  return list;
}

Timers::List& Timers::list_of(Duration after) {
  for (auto& list : lists_) {
    if (list->duration == after) return *(last_used_ = list.get());
  }
  if (lists_.size() >= kListsKept) drop_empty_lists();
  auto& list = lists_.emplace_back(std::make_unique<List>(after));
  list->head.next_ = list->head.previous_ = &list->head;
  return *(last_used_ = list.get());
}

void Timers::drop_empty_lists() {
  std::erase_if(lists_, [](const auto& list) {
    if (list->head.next_ != &list->head) return false;
    list->head.next_ = list->head.previous_ = nullptr;
    return true;
  });
  last_used_ = nullptr;
}

void Timers::arm(Timer& timer, Duration after) {
  timer.disarm();
  List& list = list_for(after);
  timer.deadline_ = clock_.now() + list.duration;
  timer.previous_ = list.head.previous_;
  timer.next_ = &list.head;
  timer.previous_->next_ = &timer;
  list.head.previous_ = &timer;
}

std::optional<TimePoint> Timers::next_deadline() const {
  std::optional<TimePoint> earliest;
  for (const auto& list : lists_) {
    const Timer* first = list->head.next_;
    if (first == &list->head) continue;
    if (!earliest || first->deadline_ < *earliest) earliest = first->deadline_;
  }
  return earliest;
}

void Timers::sweep() {
  const TimePoint now = clock_.now();
  // Firing may add lists (so no iterator is held) and, past kListsKept, drop empty ones.
  for (size_t i = 0; i < lists_.size(); ++i) {
    while (i < lists_.size()) {
      Timer* first = lists_[i]->head.next_;
      if (first == &lists_[i]->head || first->deadline_ > now) break;
      first->disarm();
      first->fire_(first->owner_);
    }
  }
}

}  // namespace tidegate
