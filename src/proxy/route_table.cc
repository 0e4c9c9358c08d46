// SPDX-License-Identifier: Apache-2.0
#include "proxy/route_table.h"

#include <random>

namespace tidegate::proxy {
namespace {

// Another one in each worker, so that they do not all pick the same endpoint at the same time.
uint64_t random_seed() {
  return std::random_device{}();
}

}  // namespace

RouteTable::RouteTable(std::shared_ptr<const SharedSnapshot> snapshot, FilterSource& filters,
                       upstream::Pools& pools, telemetry::Shard& shard)
    : snapshot_(std::move(snapshot)),
      filters_(filters),
      pools_(pools),
      none_{nullptr, "none", nullptr, nullptr, nullptr, telemetry::RouteMetrics(shard, "none"),
            {}} {
  add_clusters(pools, shard);
  add_limits(shard);
  add_routes(shard);
  refresh_chains();
}

RouteTable::~RouteTable() {
  for (RouteRuntime& runtime : routes_) runtime.chain->unpin();
  none_.chain->unpin();
  for (const auto& runtime : clusters_) {
    for (const auto& member : runtime->cluster.members()) pools_.give_back(*member.pool);
  }
}

void RouteTable::add_clusters(upstream::Pools& pools, telemetry::Shard& shard) {
  const auto& config = snapshot_->config;
  for (size_t i = 0; i < config.clusters.size(); ++i) {
    const config::Cluster& cluster = config.clusters[i];
    std::vector<upstream::Cluster::Member> members;
    for (const auto& endpoint : snapshot_->endpoints[i]) {
      upstream::Pool& pool =
          pools.acquire(endpoint, {cluster.connect_timeout, cluster.pool},
                        telemetry::EndpointMetrics(shard, cluster.name, endpoint->address));
      members.push_back({endpoint.get(), &pool});
    }
    clusters_.push_back(std::make_unique<ClusterRuntime>(
        ClusterRuntime{upstream::Cluster(cluster, std::move(members), random_seed()),
                       telemetry::ClusterMetrics(shard, cluster.name)}));
    cluster_by_name_.emplace(cluster.name, clusters_.back().get());
  }
}

void RouteTable::add_limits(telemetry::Shard& shard) {
  for (const auto& limit : snapshot_->limits) {
    const std::string& name = limit->settings().name;
    telemetry::Counter& rejected = shard.counter(telemetry::Family::LimitRejectedTotal, {name});
    limits_.emplace(name, LimitRuntime{limit, rejected});
  }
}

void RouteTable::add_routes(telemetry::Shard& shard) {
  for (const config::Route& route : snapshot_->config.routes) {
    routes_.push_back({&route,
                       route.name,
                       nullptr,
                       find_cluster(route.cluster),
                       make_handler(route),
                       telemetry::RouteMetrics(shard, route.name),
                       {}});
    for (const std::string& name : route.limits) {
      routes_.back().limits.push_back(find_limit(name));
    }
  }
}

void RouteTable::refresh_chains() {
  const auto renew = [this](RouteRuntime& runtime, const std::vector<std::string>& policies) {
    auto* chain = new FilterChain(filters_, policies);
    if (runtime.chain != nullptr) runtime.chain->unpin();
    runtime.chain = chain;
  };
  for (RouteRuntime& runtime : routes_) renew(runtime, runtime.route->policies);
  renew(none_, snapshot_->config.default_policies);
}

void RouteTable::replace_handler(size_t route, std::unique_ptr<Handler> handler) {
  routes_[route].handler = std::move(handler);
}

const RouteRuntime& RouteTable::match(const http::RequestHead& head, std::string_view host,
                                      std::string_view listener) const {
  const config::Route* route = snapshot_->router.match(head, host, listener);
  if (route == nullptr) return none_;
  return routes_[static_cast<size_t>(route - snapshot_->config.routes.data())];
}

ClusterRuntime* RouteTable::find_cluster(std::string_view name) const {
  const auto at = cluster_by_name_.find(name);
  return at == cluster_by_name_.end() ? nullptr : at->second;
}

LimitRuntime* RouteTable::find_limit(std::string_view name) const {
  const auto at = limits_.find(name);
  return at == limits_.end() ? nullptr : const_cast<LimitRuntime*>(&at->second);
}

}  // namespace tidegate::proxy
