// SPDX-License-Identifier: Apache-2.0
#include "upstream/two_choices.h"

namespace tidegate::upstream {
namespace {

// Of one that is still to give its first answer: more than any latency known.
constexpr double kUnansweredMicroseconds = 1e9;

class Ewma final : public TwoChoices {
 public:
  explicit Ewma(Candidates candidates) : TwoChoices(std::move(candidates)) {}
  bool wants_latency() const override { return true; }

 private:
  double cost(const Endpoint& endpoint, double load, TimePoint now) const override {
    const double latency = endpoint.peak_latency.at(now);
    if (latency < 0) return load * kUnansweredMicroseconds;
    // The first microsecond: among endpoints that answer at once, the number under way decides.
    return (latency + 1) * (load + 1);
  }
};

}  // namespace

std::unique_ptr<Balancer> make_ewma(Candidates candidates) {
  return std::make_unique<Ewma>(std::move(candidates));
}

}  // namespace tidegate::upstream
