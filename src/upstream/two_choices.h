// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/balancers.h"

namespace tidegate::upstream {

/// Draws two different candidates at random, by weight, and takes the cheaper one.
class TwoChoices : public Balancer {
 protected:
  using Balancer::Balancer;

  /// What a request to it would cost, with so many under way for each unit of its weight; less is
  /// better.
  virtual double cost(const Endpoint& endpoint, double load, TimePoint now) const = 0;

 private:
  int choose(const PickContext& context) final {
    int first = -1;
    for (int i = 0; i < kDraws; ++i) {
      const int index = candidates_.draw(context.now);
      if (index < 0) return -1;
      if (index == first || !fits(static_cast<size_t>(index), context)) continue;
      if (first >= 0) return cheaper(first, index, context.now);
      first = index;
    }
    return first;
  }

  // Of equals the first one drawn, which weights decide; so they hold for the idle too.
  int cheaper(int a, int b, TimePoint now) const {
    const auto price = [&](int index) {
      const auto at = static_cast<size_t>(index);
      const Endpoint& endpoint = *candidates_.endpoints()[at];
      const double active = endpoint.active.load(std::memory_order_relaxed);
      return cost(endpoint, active / candidates_.weight(at, now), now);
    };
    return price(b) < price(a) ? b : a;
  }

  static constexpr int kDraws = 8;
};

}  // namespace tidegate::upstream
