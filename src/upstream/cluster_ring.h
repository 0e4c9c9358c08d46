// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <vector>

#include "config/snapshot.h"
#include "upstream/endpoint_set.h"
#include "upstream/hash_ring.h"

namespace tidegate::upstream {

/// What the balancer `consistent_hash` of a cluster goes by; immutable, shared by all workers.
using ClusterRing = std::shared_ptr<const HashRing>;
/// One for each cluster of a snapshot, in its order; nullptr where the balancer is another one.
using ClusterRings = std::vector<ClusterRing>;

/// Made off the workers, since a million points take a tenth of a second. A ring of `previous`
/// stays where its cluster has the same endpoints as before. `previous_set`, `previous_rings`: of
/// the snapshot `previous`; nullptr: there is none.
ClusterRings make_rings(const config::Snapshot& config, const EndpointSet& set,
                        const config::Snapshot* previous, const EndpointSet* previous_set,
                        const ClusterRings* previous_rings);

}  // namespace tidegate::upstream
