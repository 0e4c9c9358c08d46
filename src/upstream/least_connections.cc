// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "upstream/balancers.h"

namespace tidegate::upstream {
namespace {

constexpr size_t kLookAtAll = 32;
constexpr size_t kSample = 16;

class LeastConnections final : public Balancer {
 public:
  explicit LeastConnections(Candidates candidates) : Balancer(std::move(candidates)) {}

 private:
  int choose(const PickContext& context) override {
    const auto& list = candidates_.list();
    if (list.empty()) return -1;
    const size_t looks = list.size() <= kLookAtAll ? list.size() : kSample;
    size_t at =
        looks == list.size() ? 0 : candidates_.random().below(static_cast<uint32_t>(list.size()));
    int best = -1;
    double least = 0;
    uint32_t equals = 0;
    for (size_t i = 0; i < looks; ++i, at = at + 1 == list.size() ? 0 : at + 1) {
      const uint32_t index = list[at];
      const double weight = candidates_.weight(index, context.now);
      if (weight <= 0 || !fits(index, context)) continue;
      const double active = candidates_.endpoints()[index]->active.load(std::memory_order_relaxed);
      const double load = (active + 1) / weight;
      if (best >= 0 && load > least) continue;
      equals = best >= 0 && load == least ? equals + 1 : 1;
      // Each of k equals is kept with a chance of one in k.
      if (equals > 1 && candidates_.random().below(equals) != 0) continue;
      best = static_cast<int>(index);
      least = load;
    }
    return best;
  }
};

}  // namespace

std::unique_ptr<Balancer> make_least_connections(Candidates candidates) {
  return std::make_unique<LeastConnections>(std::move(candidates));
}

}  // namespace tidegate::upstream
