// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancers.h"

namespace tidegate::upstream {
namespace {

constexpr size_t kLookAtAll = 32;
constexpr size_t kSample = 8;

class LeastConnections final : public Balancer {
 public:
  explicit LeastConnections(Candidates candidates) : Balancer(std::move(candidates)) {}

 private:
  struct Best {
    int index = -1;
    double load = 0;
    double weights = 0;  // of all that are as good
  };

  int choose(const PickContext& context) override {
    return candidates_.list().size() <= kLookAtAll ? best_of_all(context) : best_of_some(context);
  }

  int best_of_all(const PickContext& context) {
    Best best;
    Best cold;  // of those that do not take part this time
    for (const uint32_t index : candidates_.list()) {
      if (candidates_.full_weight(index) == 0 || !fits(index, context)) continue;
      consider(index, candidates_.takes_part(index, context.now) ? best : cold, context.now);
    }
    return best.index >= 0 ? best.index : cold.index;
  }

  // They are drawn by weight and warmth, so of equals the first is as good as any.
  int best_of_some(const PickContext& context) {
    Best best;
    for (size_t i = 0; i < kSample; ++i) {
      const int index = candidates_.draw(context.now);
      if (index < 0) return -1;
      if (!fits(static_cast<size_t>(index), context)) continue;
      const double load = load_of(static_cast<uint32_t>(index), context.now);
      if (best.index < 0 || load < best.load) best = {index, load, 0};
    }
    return best.index;
  }

  double load_of(uint32_t index, TimePoint now) const {
    const double active = candidates_.endpoints()[index]->active.load(std::memory_order_relaxed);
    return active / candidates_.weight(index, now);
  }

  // Ties by chance, in the ratio of the weights: each of those as good is kept with a chance of its
  // weight in all of theirs so far.
  void consider(uint32_t index, Best& best, TimePoint now) {
    const double load = load_of(index, now);
    if (best.index >= 0 && load > best.load) return;
    const double weight = candidates_.full_weight(index);
    best.weights = best.index >= 0 && load == best.load ? best.weights + weight : weight;
    best.load = load;
    if (best.weights > weight && candidates_.random().unit() * best.weights >= weight) return;
    best.index = static_cast<int>(index);
  }
};

}  // namespace

std::unique_ptr<Balancer> make_least_connections(Candidates candidates) {
  return std::make_unique<LeastConnections>(std::move(candidates));
}

}  // namespace tidegate::upstream
