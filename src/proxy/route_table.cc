// SPDX-License-Identifier: Apache-2.0
#include "proxy/route_table.h"

#include <algorithm>
#include <random>

#include "proxy/exchange.h"

namespace tidegate::proxy {

uint64_t random_seed() {
  return std::random_device{}();
}

namespace {

/// For a route that names what is not there, which the configuration's checks are to refuse.
class RefusingHandler final : public Handler {
 public:
  void handle(Exchange& exchange) override { exchange.reject(ErrorCode::Internal); }
};

}  // namespace

upstream::Pool::Settings pool_settings(const SharedSnapshot& snapshot, size_t cluster,
                                       const upstream::Endpoint& endpoint) {
  const config::Cluster& config = snapshot.config.clusters[cluster];
  upstream::Pool::Settings settings;
  settings.connect_timeout = config.connect_timeout;
  settings.pool = config.pool;
  settings.proxy_protocol = config.proxy_protocol;
  settings.protocol = upstream::Pool::protocol_of(config.protocol);
  settings.limits.header_bytes = config.max_response_header_bytes;
  settings.limits.header_count = config.max_response_header_count;
  if (endpoint.config.scheme == "https" && cluster < snapshot.tls.clusters.size()) {
    settings.tls = snapshot.tls.clusters[cluster];
    settings.tls_name = config.tls.sni.empty() ? endpoint.certified_name : config.tls.sni;
  }
  return settings;
}

RouteTable::RouteTable(std::shared_ptr<const SharedSnapshot> snapshot, FilterSource& filters,
                       upstream::Pools& pools, telemetry::Shard& shard, const RouteTable* previous)
    : snapshot_(std::move(snapshot)),
      filters_(filters),
      pools_(pools),
      shard_(shard),
      none_{nullptr, "none", nullptr, nullptr, nullptr, telemetry::RouteMetrics(shard, "none"),
            {},      nullptr} {
  add_clusters();
  add_limits();
  add_routes(previous);
  refresh_chains();
}

RouteTable::~RouteTable() {
  for (RouteRuntime& runtime : routes_) runtime.chain->unpin();
  none_.chain->unpin();
}

void RouteTable::add_clusters() {
  const auto& config = snapshot_->config;
  for (size_t i = 0; i < config.clusters.size(); ++i) {
    const config::Cluster& cluster = config.clusters[i];
    clusters_.push_back(std::make_unique<ClusterRuntime>(
        cluster, make_members(i, snapshot_->endpoints[i]), snapshot_->rings[i],
        telemetry::ClusterMetrics(shard_, cluster.name), snapshot_->cluster_loads[i]));
    cluster_by_name_.emplace(cluster.name, clusters_.back().get());
  }
}

upstream::Membership* RouteTable::make_members(size_t cluster,
                                               const upstream::Endpoints& endpoints) {
  const config::Cluster& config = snapshot_->config.clusters[cluster];
  std::vector<upstream::Member> members;
  members.reserve(endpoints.size());
  for (const upstream::ListedEndpoint& listed : endpoints) {
    upstream::Pool& pool = pools_.acquire(
        listed.endpoint, pool_settings(*snapshot_, cluster, *listed),
        [&] { return telemetry::EndpointMetrics(shard_, config.name, listed->address); });
    members.push_back({listed.endpoint.get(), &pool, listed.settings});
  }
  return new upstream::Membership(pools_, std::move(members));
}

void RouteTable::set_endpoints(std::string_view cluster, const upstream::Endpoints& endpoints,
                               upstream::ClusterRing ring) {
  const auto at = std::ranges::find(snapshot_->config.clusters, cluster, &config::Cluster::name);
  if (at == snapshot_->config.clusters.end()) return;  // a reload has dropped it meanwhile
  const auto index = static_cast<size_t>(at - snapshot_->config.clusters.begin());
  clusters_[index]->cluster.replace_members(make_members(index, endpoints), std::move(ring));
}

void RouteTable::add_limits() {
  for (const auto& limit : snapshot_->limits) {
    const std::string& name = limit->settings().name;
    auto lease = std::make_unique<telemetry::Lease>();
    telemetry::Counter& rejected =
        shard_.counter(telemetry::Family::LimitRejectedTotal, {name}, lease.get());
    limits_.emplace(name, LimitRuntime{limit, std::move(lease), rejected});
  }
}

// To find counters by name takes a lock, and there may be many routes while requests wait.
void RouteTable::add_routes(const RouteTable* previous) {
  const auto& routes = snapshot_->config.routes;
  routes_.reserve(routes.size());
  std::unordered_map<std::string_view, const telemetry::RouteMetrics*> known;
  if (previous != nullptr) {
    known.reserve(previous->routes_.size());
    for (const RouteRuntime& runtime : previous->routes_) {
      known.emplace(runtime.name, &runtime.metrics);
    }
  }
  for (const config::Route& route : routes) {
    const auto before = known.find(route.name);
    routes_.push_back(
        {&route,
         route.name,
         nullptr,
         find_cluster(route.cluster),
         make_handler(route),
         before != known.end() ? *before->second : telemetry::RouteMetrics(shard_, route.name),
         {},
         nullptr});
    const auto index = routes_.size() - 1;
    routes_.back().load = snapshot_->route_loads[index];
    bool whole = routes_.back().cluster != nullptr || routes_.back().handler != nullptr;
    for (const std::string& name : route.limits) {
      LimitRuntime* limit = find_limit(name);
      whole = whole && limit != nullptr;
      if (limit != nullptr) routes_.back().limits.push_back(limit);
    }
    if (whole) continue;
    // No request may pass without what it should meet, nor take the worker down.
    routes_.back().cluster = nullptr;
    routes_.back().handler = std::make_unique<RefusingHandler>();
  }
}

void RouteTable::refresh_chains() {
  // Routes with the same policies share a chain; neighbours often have the same.
  const std::vector<std::string>* last_policies = nullptr;
  FilterChain* last = nullptr;
  const auto renew = [&](RouteRuntime& runtime, const std::vector<std::string>& policies) {
    const bool same = last_policies != nullptr && *last_policies == policies;
    FilterChain* chain = same ? last->pin() : new FilterChain(filters_, policies);
    if (runtime.chain != nullptr) runtime.chain->unpin();
    runtime.chain = last = chain;
    last_policies = &policies;
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
