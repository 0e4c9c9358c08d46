// SPDX-License-Identifier: Apache-2.0
#include "upstream/cluster_ring.h"

#include <string_view>
#include <unordered_map>

namespace tidegate::upstream {
namespace {

ClusterRing make_ring(const Endpoints& endpoints) {
  std::vector<HashRing::Member> members;
  members.reserve(endpoints.size());
  for (const ListedEndpoint& listed : endpoints) {
    members.push_back({listed->address, listed.settings->weight});
  }
  return std::make_shared<const HashRing>(members);
}

}  // namespace

ClusterRings make_rings(const config::Snapshot& config, const EndpointSet& set,
                        const config::Snapshot* previous, const EndpointSet* previous_set,
                        const ClusterRings* previous_rings) {
  std::unordered_map<std::string_view, size_t> known;
  for (size_t i = 0; previous != nullptr && i < previous->clusters.size(); ++i) {
    if ((*previous_rings)[i] != nullptr) known.emplace(previous->clusters[i].name, i);
  }
  ClusterRings rings(config.clusters.size());
  for (size_t i = 0; i < rings.size(); ++i) {
    if (config.clusters[i].balancer != "consistent_hash") continue;
    const auto at = known.find(config.clusters[i].name);
    const bool same = at != known.end() && (*previous_set)[at->second] == set[i];
    rings[i] = same ? (*previous_rings)[at->second] : make_ring(set[i]);
  }
  return rings;
}

}  // namespace tidegate::upstream
