// SPDX-License-Identifier: Apache-2.0
#include "upstream/drained_endpoints.h"

#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace tidegate::upstream {
namespace {

std::unordered_set<const Endpoint*> pointers_of(const Endpoints& endpoints) {
  std::unordered_set<const Endpoint*> all;
  all.reserve(endpoints.size());
  for (const ListedEndpoint& listed : endpoints) all.insert(listed.endpoint.get());
  return all;
}

}  // namespace

// What leaves comes first: the same address may come back as another endpoint in the same change.
void DrainedEndpoints::update(const std::string& cluster, const Endpoints& before,
                              const Endpoints& now, TimePoint time) {
  const auto staying = pointers_of(now);
  for (const ListedEndpoint& listed : before) {
    if (staying.contains(listed.endpoint.get())) continue;
    Key key{cluster, listed->address};
    if (listed->draining.load(std::memory_order_relaxed)) {
      remember(std::move(key));
    } else {
      known_.erase(key);
    }
  }
  if (known_.empty()) return;
  const auto known_before = pointers_of(before);
  for (const ListedEndpoint& listed : now) {
    if (known_before.contains(listed.endpoint.get())) continue;
    if (known_.contains({cluster, listed->address})) listed->set_draining(true, time);
  }
}

void DrainedEndpoints::update(const config::Snapshot* before, const EndpointSet* before_set,
                              const config::Snapshot& now, const EndpointSet& now_set,
                              TimePoint time) {
  static const Endpoints kNone;
  std::unordered_map<std::string_view, const Endpoints*> going;
  for (size_t i = 0; before != nullptr && i < before->clusters.size(); ++i) {
    going.emplace(before->clusters[i].name, &(*before_set)[i]);
  }
  for (size_t i = 0; i < now.clusters.size(); ++i) {
    const std::string& name = now.clusters[i].name;
    const auto at = going.find(name);
    update(name, at == going.end() ? kNone : *at->second, now_set[i], time);
    if (at != going.end()) going.erase(at);
  }
  for (const auto& [name, endpoints] : going) update(std::string(name), *endpoints, kNone, time);
}

void DrainedEndpoints::remember(Key key) {
  const auto [at, is_new] = known_.emplace(key, last_ + 1);
  if (!is_new) return;
  order_.emplace_back(++last_, std::move(key));
  const auto is_stale = [this](const auto& one) {
    const auto known = known_.find(one.second);
    return known == known_.end() || known->second != one.first;
  };
  // One that leaves and comes back all the time must push out no other.
  if (order_.size() > 2 * kMost) std::erase_if(order_, is_stale);
  while (known_.size() > kMost) {
    if (!is_stale(order_.front())) known_.erase(order_.front().second);
    order_.pop_front();
  }
}

}  // namespace tidegate::upstream
