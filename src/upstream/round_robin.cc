// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "upstream/balancers.h"

namespace tidegate::upstream {
namespace {

// Interval of weight 1. Divisible by 1 to 18, so that shares of small weights are exact for ever.
constexpr double kInterval = 12'252'240.0 * 256;

/// With equal weights each in turn, which takes no time to find; else whichever is due first.
class RoundRobin final : public Balancer {
 public:
  explicit RoundRobin(Candidates candidates)
      : Balancer(std::move(candidates)), due_(candidates_.endpoints().size()) {}

 private:
  void on_candidates_changed() override {
    turns_.clear();
    for (const uint32_t index : candidates_.list()) {
      if (candidates_.full_weight(index) > 0) turns_.push_back(index);
    }
    even_ = std::ranges::all_of(turns_, [&](uint32_t index) {
      return candidates_.full_weight(index) == candidates_.full_weight(turns_.front());
    });
    // The one whose turn it is keeps it, or hands it to the next that is left.
    next_ = static_cast<size_t>(std::ranges::lower_bound(turns_, turn_) - turns_.begin());
    if (!even_) renew_heap();
  }

  int choose(const PickContext& context) override {
    return even_ ? choose_next(context) : choose_due(context);
  }

  int choose_next(const PickContext& context) {
    int cold = -1;  // fits, but was passed over
    for (size_t i = 0; i < turns_.size(); ++i) {
      if (next_ >= turns_.size()) next_ = 0;
      const uint32_t index = turns_[next_++];
      turn_ = index + 1;
      if (!fits(index, context)) continue;
      if (candidates_.takes_part(index, context.now)) return static_cast<int>(index);
      if (cold < 0) cold = static_cast<int>(index);
    }
    return cold;
  }

  struct Entry {
    uint64_t due;
    uint32_t index;
  };

  /// Of a heap whose top is due first. Time goes round, so only differences count.
  static bool later(const Entry& a, const Entry& b) {
    const auto ahead = static_cast<int64_t>(a.due - b.due);
    return ahead != 0 ? ahead > 0 : a.index > b.index;
  }

  uint64_t interval(uint32_t index, TimePoint now) const {
    return static_cast<uint64_t>(kInterval / candidates_.weight(index, now));
  }

  // One that stays keeps its place; one that comes is due after half an interval, with nothing to
  // catch up.
  void renew_heap() {
    std::vector<bool> known(due_.size());
    for (const Entry& entry : heap_) {
      known[entry.index] = true;
      due_[entry.index] = entry.due;
    }
    heap_.clear();
    for (const uint32_t index : turns_) {
      if (!known[index]) due_[index] = time_ + interval(index, TimePoint::max()) / 2;
      heap_.push_back({due_[index], index});
    }
    std::ranges::make_heap(heap_, later);
  }

  int choose_due(const PickContext& context) {
    size_t passed_over = 0;  // stand behind the heap's end
    int chosen = -1;
    while (chosen < 0 && passed_over < heap_.size()) {
      const auto end = heap_.end() - static_cast<std::ptrdiff_t>(passed_over);
      std::pop_heap(heap_.begin(), end, later);
      Entry& first = *(end - 1);
      ++passed_over;
      if (!fits(first.index, context)) continue;
      chosen = static_cast<int>(first.index);
      // One that could not be picked when it was due has nothing to catch up either.
      if (static_cast<int64_t>(first.due - time_) < 0) first.due = time_;
      time_ = first.due;
      first.due += interval(first.index, context.now);
    }
    for (; passed_over > 0; --passed_over) {
      const auto end = heap_.end() - static_cast<std::ptrdiff_t>(passed_over) + 1;
      std::push_heap(heap_.begin(), end, later);
    }
    return chosen;
  }

  std::vector<uint32_t> turns_;  // those of the list that have a weight
  bool even_ = true;             // all the same
  size_t next_ = 0;              // into turns_
  uint32_t turn_ = 0;            // index of the endpoint that it stands for
  std::vector<Entry> heap_;
  std::vector<uint64_t> due_;
  uint64_t time_ = 0;
};

}  // namespace

std::unique_ptr<Balancer> make_round_robin(Candidates candidates) {
  return std::make_unique<RoundRobin>(std::move(candidates));
}

}  // namespace tidegate::upstream
