// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/balancers.h"

namespace tidegate::upstream {

/// Draws two different candidates at random, by weight, and takes the cheaper one.
class TwoChoices : public Balancer {
 protected:
  using Balancer::Balancer;

  /// What a further request to it would cost; less is better.
  virtual double cost(const Endpoint& endpoint, TimePoint now) const = 0;

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

  // Per weight, since a heavier one stands more.
  int cheaper(int a, int b, TimePoint now) const {
    const auto price = [&](int index) {
      const auto at = static_cast<size_t>(index);
      return cost(*candidates_.endpoints()[at], now) / candidates_.weight(at, now);
    };
    return price(b) < price(a) ? b : a;
  }

  static constexpr int kDraws = 8;
};

}  // namespace tidegate::upstream
