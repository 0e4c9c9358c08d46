// SPDX-License-Identifier: Apache-2.0
#include "upstream/cluster.h"

#include <algorithm>

namespace tidegate::upstream {

Cluster::Cluster(const config::Cluster& config, Membership* members, uint64_t seed)
    : config_(config), membership_(members), seed_(seed) {
  make_balancer();
}

Cluster::~Cluster() {
  membership_->unpin();
}

void Cluster::make_balancer() {
  std::vector<Endpoint*> endpoints;
  for (const Member& member : members()) endpoints.push_back(member.endpoint);
  balancer_ = find_balancer(config_.balancer)({std::move(endpoints), config_, seed_++});
}

void Cluster::replace_members(Membership* members) {
  Membership* const before = std::exchange(membership_, members);
  make_balancer();
  before->retire(*members);
  before->unpin();
}

const Member* Cluster::pick(const PickContext& context) {
  const int index = balancer_->pick(context);
  return index < 0 ? nullptr : &members()[static_cast<size_t>(index)];
}

void Cluster::note_latency(const Endpoint& of, Duration took, TimePoint now) const {
  auto& endpoint = const_cast<Endpoint&>(of);
  if (balancer_->wants_latency()) endpoint.peak_latency.note(took, now);
  // An eighth of each new sample; losing one to another worker does no harm.
  const auto sample = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  const int64_t before = endpoint.latency_us.load(std::memory_order_relaxed);
  const int64_t after = before == 0 ? sample : before + (sample - before) / 8;
  endpoint.latency_us.store(static_cast<uint32_t>(std::max<int64_t>(after, 1)),
                            std::memory_order_relaxed);
}

bool Cluster::healthy() const {
  return std::ranges::any_of(members(), [](const Member& m) { return m.endpoint->available(); });
}

}  // namespace tidegate::upstream
