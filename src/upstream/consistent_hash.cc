// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "upstream/balancers.h"
#include "upstream/hash_ring.h"

namespace tidegate::upstream {
namespace {

// With bounded load: how old the count of all requests under way may be. Counting takes a look at
// every endpoint, which is too much for every pick.
constexpr Duration kRecount = std::chrono::milliseconds(1);
constexpr int kDraws = 8;
// Points looked at for a key: of a hundred endpoints one that is left is missed once in thirty
// thousand times.
constexpr size_t kMostPoints = 1024;
constexpr size_t kMostListed = 32;

std::shared_ptr<const HashRing> ring_of(const Candidates& candidates) {
  if (candidates.ring() != nullptr) return candidates.ring();
  std::vector<HashRing::Member> members;
  const auto endpoints = candidates.endpoints();
  for (size_t i = 0; i < endpoints.size(); ++i) {
    members.push_back({endpoints[i]->address, candidates.full_weight(i)});
  }
  return std::make_shared<const HashRing>(members);
}

class ConsistentHash final : public Balancer {
 public:
  explicit ConsistentHash(Candidates candidates)
      : Balancer(std::move(candidates)),
        ring_(ring_of(candidates_)),
        hash_on_(candidates_.config().hash_on.value_or(config::HashOn{})) {}

 private:
  void on_candidates_changed() override {
    weights_ = 0;
    for (const uint32_t index : candidates_.list()) {
      weights_ += candidates_.full_weight(index);
    }
    counted_at_ = {};
  }

  int choose(const PickContext& context) override {
    if (weights_ == 0) return -1;
    const std::string_view key =
        context.keys == nullptr ? std::string_view() : context.keys->hash_key(hash_on_);
    if (candidates_.config().hash_load_factor) count_active(context.now);
    const int chosen = key.empty() ? by_chance(context) : on_ring(stable_hash(key), context);
    if (chosen >= 0) ++active_;
    return chosen;
  }

  // The first on the ring with room; if only load stands in the way, the first.
  int on_ring(uint64_t hash, const PickContext& context) const {
    const bool bounded = candidates_.config().hash_load_factor.has_value();
    const size_t most = std::min(ring_->size(), kMostPoints);
    int first = -1;
    size_t at = ring_->find(hash);
    for (size_t i = 0; i < most; ++i, at = ring_->next(at)) {
      const uint32_t index = ring_->member(at);
      if (!candidates_.contains(index) || !fits(index, context)) continue;
      if (!bounded || has_room(index)) return static_cast<int>(index);
      if (first < 0) first = static_cast<int>(index);
    }
    return first >= 0 || most == ring_->size() ? first : on_list(hash, context);
  }

  // So few are left that a walk around the ring would take too long: the key has its place on the
  // list of those that are.
  int on_list(uint64_t hash, const PickContext& context) const {
    const auto& list = candidates_.list();
    const auto start = static_cast<size_t>(hash % list.size());
    for (size_t i = 0; i < std::min(list.size(), kMostListed); ++i) {
      const uint32_t index = list[(start + i) % list.size()];
      if (candidates_.full_weight(index) > 0 && fits(index, context))
        return static_cast<int>(index);
    }
    return -1;
  }

  int by_chance(const PickContext& context) {
    for (int i = 0; i < kDraws; ++i) {
      const int index = candidates_.draw(context.now);
      if (index < 0 || fits(static_cast<size_t>(index), context)) return index;
    }
    return -1;
  }

  void count_active(TimePoint now) {
    if (counted_at_ != TimePoint() && now - counted_at_ < kRecount) return;
    counted_at_ = now;
    active_ = 0;
    for (const uint32_t index : candidates_.list()) {
      active_ += candidates_.endpoints()[index]->active.load(std::memory_order_relaxed);
    }
  }

  /// One more would not be over `hash_load_factor` times its share of what is under way.
  bool has_room(uint32_t index) const {
    const Endpoint& endpoint = *candidates_.endpoints()[index];
    const double share =
        candidates_.full_weight(index) / weights_ * static_cast<double>(active_ + 1);
    const double most = std::ceil(share * *candidates_.config().hash_load_factor);
    return endpoint.active.load(std::memory_order_relaxed) < most;
  }

  const std::shared_ptr<const HashRing> ring_;
  const config::HashOn hash_on_;
  double weights_ = 0;   // of all candidates
  uint64_t active_ = 0;  // on all candidates, when last counted, and picks since
  TimePoint counted_at_{};
};

}  // namespace

std::unique_ptr<Balancer> make_consistent_hash(Candidates candidates) {
  return std::make_unique<ConsistentHash>(std::move(candidates));
}

}  // namespace tidegate::upstream
