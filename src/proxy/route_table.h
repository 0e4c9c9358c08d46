// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/filter_chain.h"
#include "proxy/handler.h"
#include "proxy/shared_snapshot.h"
#include "telemetry/metrics.h"
#include "upstream/cluster.h"
#include "upstream/pools.h"
#include "upstream/retry_policy.h"

namespace tidegate::proxy {

/// Another one at each call, so that workers do not all pick the same endpoint at the same time.
uint64_t random_seed();

/// A cluster in one worker, with its counters.
struct ClusterRuntime {
  ClusterRuntime(const config::Cluster& config, upstream::Membership* members,
                 upstream::ClusterRing ring, const telemetry::ClusterMetrics& cells,
                 std::shared_ptr<upstream::ClusterLoad> shared_load)
      : cluster(config, members, random_seed(), std::move(ring)),
        metrics(cells),
        load(std::move(shared_load)),
        retry(config.retry) {}

  upstream::Cluster cluster;
  telemetry::ClusterMetrics metrics;
  std::shared_ptr<upstream::ClusterLoad> load;
  upstream::RetryPolicy retry;
};

/// A rate limit in one worker, with its counter.
struct LimitRuntime {
  std::shared_ptr<NamedLimit> limit;
  std::unique_ptr<telemetry::Lease> lease;  // of the counter
  telemetry::Counter& rejected;
};

/// A route in one worker: what an exchange needs once the route is known.
struct RouteRuntime {
  const config::Route* route = nullptr;  // nullptr: no route matched
  std::string_view name;
  FilterChain* chain = nullptr;
  ClusterRuntime* cluster = nullptr;  // one of the two, or neither where no route matched
  std::unique_ptr<Handler> handler;
  telemetry::RouteMetrics metrics;
  std::vector<LimitRuntime*> limits;
  std::shared_ptr<RouteLoad> load;  // nullptr: what is under way is not limited
};

/// How connections to an endpoint of the cluster with that index are made.
upstream::Pool::Settings pool_settings(const SharedSnapshot& snapshot, size_t cluster,
                                       const upstream::Endpoint& endpoint);

/// One configuration as one worker uses it. Exchanges pin the table they began with; the worker
/// holds one pin on the current one.
class RouteTable {
 public:
  /// `previous`: the one in use until now, if any, which counts in the same shard.
  RouteTable(std::shared_ptr<const SharedSnapshot> snapshot, FilterSource& filters,
             upstream::Pools& pools, telemetry::Shard& shard, const RouteTable* previous = nullptr);
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  const SharedSnapshot& snapshot() const { return *snapshot_; }
  const RouteRuntime& match(const http::RequestHead& head, std::string_view host,
                            std::string_view listener) const;
  /// What holds for requests that no route matches.
  const RouteRuntime& none() const { return none_; }
  ClusterRuntime* find_cluster(std::string_view name) const;
  LimitRuntime* find_limit(std::string_view name) const;
  /// Attempts to come use these endpoints; those that have left finish what they carry.
  void set_endpoints(std::string_view cluster, const upstream::Endpoints& endpoints,
                     upstream::ClusterRing ring);
  const std::vector<std::unique_ptr<ClusterRuntime>>& clusters() const { return clusters_; }

  /// Some policy has a new generation: builds the chains anew for exchanges to come.
  void refresh_chains();
  void replace_handler(size_t route, std::unique_ptr<Handler> handler);

  RouteTable* pin() {
    ++pins_;
    return this;
  }
  void unpin() {
    if (--pins_ == 0) delete this;
  }

 private:
  ~RouteTable();
  void add_clusters();
  upstream::Membership* make_members(size_t cluster, const upstream::Endpoints& endpoints);
  void add_limits();
  void add_routes(const RouteTable* previous);

  std::shared_ptr<const SharedSnapshot> snapshot_;
  FilterSource& filters_;
  upstream::Pools& pools_;
  telemetry::Shard& shard_;
  std::vector<std::unique_ptr<ClusterRuntime>> clusters_;
  std::unordered_map<std::string_view, ClusterRuntime*> cluster_by_name_;
  std::unordered_map<std::string_view, LimitRuntime> limits_;
  std::vector<RouteRuntime> routes_;  // in the snapshot's order
  RouteRuntime none_;
  uint32_t pins_ = 1;
};

}  // namespace tidegate::proxy
