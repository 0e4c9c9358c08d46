// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancers.h"

#include <algorithm>

namespace tidegate::upstream {
namespace {

class RoundRobin final : public Balancer {
 public:
  explicit RoundRobin(Candidates candidates) : Balancer(std::move(candidates)) {
    heeds_weights_ = false;
  }

 private:
  // The one whose turn it is keeps it, or hands it to the next that is left.
  void on_candidates_changed() override {
    const auto& list = candidates_.list();
    next_ = static_cast<size_t>(std::ranges::lower_bound(list, turn_) - list.begin());
  }

  int choose(const PickContext& context) override {
    const auto& list = candidates_.list();
    int cold = -1;  // fits, but was passed over
    for (size_t i = 0; i < list.size(); ++i) {
      if (next_ >= list.size()) next_ = 0;
      const uint32_t index = list[next_++];
      turn_ = index + 1;
      if (!fits(index, context)) continue;
      if (candidates_.takes_part(index, context.now)) return static_cast<int>(index);
      if (cold < 0) cold = static_cast<int>(index);
    }
    return cold;
  }

  size_t next_ = 0;    // into the list
  uint32_t turn_ = 0;  // index of the endpoint that it stands for
};

}  // namespace

std::unique_ptr<Balancer> make_round_robin(Candidates candidates) {
  return std::make_unique<RoundRobin>(std::move(candidates));
}

}  // namespace tidegate::upstream
