// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancers.h"

namespace tidegate::upstream {
namespace {

class RoundRobin final : public Balancer {
 public:
  explicit RoundRobin(std::vector<Endpoint*> endpoints) : endpoints_(std::move(endpoints)) {}

  int pick(const PickContext& context) override {
    const int fresh = next(context, true);
    return fresh >= 0 || context.tried.empty() ? fresh : next(context, false);
  }

 private:
  int next(const PickContext& context, bool avoid_tried) {
    for (size_t i = 0; i < endpoints_.size(); ++i) {
      const size_t at = next_;
      next_ = next_ + 1 == endpoints_.size() ? 0 : next_ + 1;
      if (eligible(*endpoints_[at], context, avoid_tried)) return static_cast<int>(at);
    }
    return -1;
  }

  std::vector<Endpoint*> endpoints_;
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Balancer> make_round_robin(std::vector<Endpoint*> endpoints) {
  return std::make_unique<RoundRobin>(std::move(endpoints));
}

}  // namespace tidegate::upstream
