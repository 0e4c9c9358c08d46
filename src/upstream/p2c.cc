// SPDX-License-Identifier: Apache-2.0
#include "upstream/two_choices.h"

namespace tidegate::upstream {
namespace {

class P2c final : public TwoChoices {
 public:
  explicit P2c(Candidates candidates) : TwoChoices(std::move(candidates)) {}

 private:
  double cost(const Endpoint& endpoint, TimePoint) const override {
    return endpoint.active.load(std::memory_order_relaxed) + 1.0;
  }
};

}  // namespace

std::unique_ptr<Balancer> make_p2c(Candidates candidates) {
  return std::make_unique<P2c>(std::move(candidates));
}

}  // namespace tidegate::upstream
