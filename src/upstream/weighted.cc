// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancers.h"

namespace tidegate::upstream {
namespace {

class Weighted final : public Balancer {
 public:
  explicit Weighted(std::vector<Endpoint*> endpoints) {
    for (Endpoint* endpoint : endpoints) entries_.push_back({endpoint, 0});
  }

  int pick(const PickContext& context) override {
    const int fresh = best(context, true);
    return fresh >= 0 || context.tried.empty() ? fresh : best(context, false);
  }

 private:
  struct Entry {
    Endpoint* endpoint;
    int64_t score;
  };

  int best(const PickContext& context, bool avoid_tried) {
    int64_t sum = 0;
    int chosen = -1;
    for (size_t i = 0; i < entries_.size(); ++i) {
      Entry& entry = entries_[i];
      const int64_t weight = entry.endpoint->config.weight;
      if (weight == 0 || !eligible(*entry.endpoint, context, avoid_tried)) continue;
      sum += weight;
      entry.score += weight;
      if (chosen < 0 || entry.score > entries_[static_cast<size_t>(chosen)].score) {
        chosen = static_cast<int>(i);
      }
    }
    if (chosen >= 0) entries_[static_cast<size_t>(chosen)].score -= sum;
    return chosen;
  }

  std::vector<Entry> entries_;
};

}  // namespace

std::unique_ptr<Balancer> make_weighted(std::vector<Endpoint*> endpoints) {
  return std::make_unique<Weighted>(std::move(endpoints));
}

}  // namespace tidegate::upstream
