// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancers.h"

namespace tidegate::upstream {
namespace {

constexpr int kDraws = 8;  // before `pick` looks at all

class RandomBalancer final : public Balancer {
 public:
  explicit RandomBalancer(Candidates candidates) : Balancer(std::move(candidates)) {}

 private:
  int choose(const PickContext& context) override {
    for (int i = 0; i < kDraws; ++i) {
      const int index = candidates_.draw(context.now);
      if (index < 0 || fits(static_cast<size_t>(index), context)) return index;
    }
    return -1;
  }
};

}  // namespace

std::unique_ptr<Balancer> make_random(Candidates candidates) {
  return std::make_unique<RandomBalancer>(std::move(candidates));
}

}  // namespace tidegate::upstream
