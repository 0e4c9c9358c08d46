// SPDX-License-Identifier: Apache-2.0
#include "upstream/balancer.h"

#include <algorithm>
#include <array>

#include "upstream/balancers.h"

namespace tidegate::upstream {
namespace {

// The one list of balancers: another one is a file of its own and a line here.
constexpr std::array<std::pair<std::string_view, BalancerFactory>, 7> kBalancers{{
    {"round_robin", make_round_robin},
    {"weighted", make_round_robin},
    {"random", make_random},
    {"least_connections", make_least_connections},
    {"p2c", make_p2c},
    {"ewma", make_ewma},
    {"consistent_hash", make_consistent_hash},
}};

}  // namespace

BalancerFactory find_balancer(std::string_view name) {
  for (const auto& [known, factory] : kBalancers) {
    if (known == name) return factory;
  }
  return nullptr;
}

int Balancer::pick(const PickContext& context) {
  if (candidates_.refresh(context.now)) on_candidates_changed();
  if (candidates_.list().empty()) return -1;  // only what is not available is not listed
  const int chosen = choose(context);
  if (chosen >= 0) return chosen;
  const int untried = last_resort(context, true);
  return untried >= 0 || context.tried.empty() ? untried : last_resort(context, false);
}

bool Balancer::was_tried(size_t index, const PickContext& context) const {
  return std::ranges::find(context.tried, candidates_.endpoints()[index]) != context.tried.end();
}

// Beyond the list too: a retry goes further away rather than to where it has been.
int Balancer::last_resort(const PickContext& context, bool avoid_tried) {
  const auto count = static_cast<uint32_t>(candidates_.endpoints().size());
  if (count == 0) return -1;
  const uint32_t start = candidates_.random().below(count);
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t at = (start + i) % count;
    if (candidates_.full_weight(at) == 0) continue;
    if (!candidates_.usable(at, context.now) || (avoid_tried && was_tried(at, context))) continue;
    return static_cast<int>(at);
  }
  return -1;
}

}  // namespace tidegate::upstream
