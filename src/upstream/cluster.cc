// SPDX-License-Identifier: Apache-2.0
#include "upstream/cluster.h"

#include <algorithm>

namespace tidegate::upstream {

Cluster::Cluster(const config::Cluster& config, std::vector<Member> members)
    : config_(config), members_(std::move(members)) {
  std::vector<Endpoint*> endpoints;
  for (const Member& member : members_) endpoints.push_back(member.endpoint);
  balancer_ = find_balancer(config.balancer)(std::move(endpoints));
}

const Cluster::Member* Cluster::pick(const PickContext& context) {
  const int index = balancer_->pick(context);
  return index < 0 ? nullptr : &members_[static_cast<size_t>(index)];
}

const Cluster::Member* Cluster::find(const Endpoint* endpoint) const {
  const auto at = std::ranges::find(members_, endpoint, &Member::endpoint);
  return at == members_.end() ? nullptr : &*at;
}

const Cluster::Member* Cluster::find(std::string_view address) const {
  const auto at = std::ranges::find_if(
      members_, [&](const Member& member) { return member.endpoint->address == address; });
  return at == members_.end() ? nullptr : &*at;
}

bool Cluster::healthy() const {
  return std::ranges::any_of(members_, [](const Member& m) { return m.endpoint->available(); });
}

}  // namespace tidegate::upstream
