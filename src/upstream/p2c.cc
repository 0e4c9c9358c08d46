// SPDX-License-Identifier: Apache-2.0
#include "upstream/two_choices.h"

namespace tidegate::upstream {
namespace {

class P2c final : public TwoChoices {
 public:
  explicit P2c(Candidates candidates) : TwoChoices(std::move(candidates)) {}

 private:
  double cost(const Endpoint&, double load, TimePoint) const override { return load; }
};

}  // namespace

std::unique_ptr<Balancer> make_p2c(Candidates candidates) {
  return std::make_unique<P2c>(std::move(candidates));
}

}  // namespace tidegate::upstream
