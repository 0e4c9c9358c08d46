// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/balancer.h"

namespace tidegate::upstream {

/// Each endpoint in turn, whatever its weight.
std::unique_ptr<Balancer> make_round_robin(std::vector<Endpoint*> endpoints);

/// Shares by weight, spread as evenly as can be: each pick adds every weight to its endpoint's
/// score, takes the highest score and subtracts the sum of weights from it.
std::unique_ptr<Balancer> make_weighted(std::vector<Endpoint*> endpoints);

}  // namespace tidegate::upstream
