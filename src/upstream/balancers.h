// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "upstream/balancer.h"

namespace tidegate::upstream {

/// Each endpoint in turn, while all have the same weight; one in its slow start is passed over now
/// and then. Else shares by weight, spread as evenly as can be: each endpoint is due at intervals
/// of one over its weight, and the one that is due first is picked, O(log n).
std::unique_ptr<Balancer> make_round_robin(Candidates candidates);

/// By chance, in the ratio of the weights.
std::unique_ptr<Balancer> make_random(Candidates candidates);

/// The fewest requests under way for its weight; ties by chance, in the ratio of the weights. Of up
/// to 32 candidates all are looked at, of more than that 8 drawn by weight: what the best of 8
/// lacks to the best of all is small, and so no newcomer is run over.
std::unique_ptr<Balancer> make_least_connections(Candidates candidates);

/// The less busy of two random ones ("power of two choices"): close to least_connections at the
/// cost of random.
std::unique_ptr<Balancer> make_p2c(Candidates candidates);

/// Of two random ones the one with the lower product of peak latency and requests under way. One
/// that has not answered yet gets a single request at a time.
std::unique_ptr<Balancer> make_ewma(Candidates candidates);

/// The same endpoint for the same key: a ring on which each endpoint holds many points. A key whose
/// endpoint is gone moves to the next on the ring, all others stay; a full one (`hash_load_factor`)
/// passes on what exceeds its share. No key: by chance.
std::unique_ptr<Balancer> make_consistent_hash(Candidates candidates);

}  // namespace tidegate::upstream
