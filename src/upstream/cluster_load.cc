// SPDX-License-Identifier: Apache-2.0
#include "upstream/cluster_load.h"

namespace tidegate::upstream {
namespace {

std::shared_ptr<ClusterLoad> find_load(const config::Snapshot* snapshot, const ClusterLoads* loads,
                                       const std::string& cluster) {
  if (snapshot == nullptr) return nullptr;
  for (size_t i = 0; i < snapshot->clusters.size(); ++i) {
    if (snapshot->clusters[i].name == cluster) return (*loads)[i];
  }
  return nullptr;
}

}  // namespace

ClusterLoads make_loads(const config::Snapshot& snapshot, const config::Snapshot* previous,
                        const ClusterLoads* previous_loads) {
  ClusterLoads loads;
  for (const config::Cluster& cluster : snapshot.clusters) {
    const auto before = find_load(previous, previous_loads, cluster.name);
    const auto& wanted = cluster.limits.adaptive_concurrency;
    const bool same =
        before != nullptr &&
        (before->adaptive == nullptr ? !wanted : wanted == before->adaptive->settings());
    if (same) {
      loads.push_back(before);
      continue;
    }
    // What runs under other settings is counted there until it ends.
    auto load = std::make_shared<ClusterLoad>();
    if (wanted) load->adaptive = std::make_shared<AdaptiveLimit>(*wanted);
    loads.push_back(std::move(load));
  }
  return loads;
}

}  // namespace tidegate::upstream
