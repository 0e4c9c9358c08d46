// SPDX-License-Identifier: Apache-2.0
// The server's part in changes of endpoints: by DNS, by files, by names and by scripts.
#include <algorithm>

#include "server/server.h"
#include "telemetry/log.h"
#include "upstream/resolution.h"

namespace tidegate::server {

void Server::set_endpoints(const std::string& cluster, std::vector<upstream::EndpointSpec> specs) {
  if (draining_) return;
  const auto& clusters = snapshot_->config.clusters;
  const auto at = std::ranges::find(clusters, cluster, &config::Cluster::name);
  if (at == clusters.end()) return;
  SpecsByCluster changes;
  changes.emplace(static_cast<size_t>(at - clusters.begin()), std::move(specs));
  set_endpoints(std::move(changes));
}

// One snapshot and one message to each worker for all of them: each costs as much as there are
// endpoints, of whatever cluster.
void Server::set_endpoints(SpecsByCluster changes) {
  upstream::EndpointSet all = snapshot_->endpoints;
  std::vector<size_t> changed;
  for (auto& [index, specs] : changes) {
    const std::string& cluster = snapshot_->config.clusters[index].name;
    upstream::Endpoints& present = all[index];
    upstream::Endpoints wanted = upstream::make_endpoints(std::move(specs), &present);
    if (wanted == present) continue;
    log::info("endpoints changed",
              {{"cluster", cluster}, {"before", present.size()}, {"now", wanted.size()}});
    if (!threads_.empty()) upstream::warm_up(wanted, present, control_.loop().now());
    drained_endpoints_.update(cluster, present, wanted, control_.loop().now());
    present = std::move(wanted);
    changed.push_back(index);
  }
  if (changed.empty()) return;
  names_in_doubt_ = true;
  snapshot_ = std::make_shared<const proxy::SharedSnapshot>(*snapshot_, std::move(all));
  update_health_checks();
  // Not the snapshot: the last to let go of it would have to destroy it.
  struct Change {
    std::string cluster;
    upstream::Endpoints endpoints;
    decltype(snapshot_->rings)::value_type ring;
  };
  const auto shared = std::make_shared<std::vector<Change>>();
  for (const size_t index : changed) {
    shared->push_back({snapshot_->config.clusters[index].name, snapshot_->endpoints[index],
                       snapshot_->rings[index]});
  }
  for (const auto& worker : workers_) {
    worker->post([&one = *worker, shared] {
      if (one.routes() == nullptr) return;
      for (const Change& change : *shared) {
        one.routes()->set_endpoints(change.cluster, change.endpoints, change.ring);
      }
    });
  }
}

void Server::set_script_endpoints(const std::string& cluster,
                                  std::vector<config::Endpoint> endpoints) {
  if (draining_) return;
  const config::Cluster* settings = snapshot_->config.find_cluster(cluster);
  if (settings == nullptr) return;
  by_script_.insert(cluster);
  set_endpoints(cluster, upstream::resolve_names(*settings, endpoints, names_));
}

void Server::on_names(const std::set<std::string>& names) {
  if (snapshot_ == nullptr || draining_) return;
  SpecsByCluster changes;
  for (size_t i = 0; i < snapshot_->endpoints.size(); ++i) {
    auto specs = upstream::moved(snapshot_->endpoints[i], names, names_);
    if (!specs.empty()) changes.emplace(i, std::move(specs));
  }
  if (!changes.empty()) set_endpoints(std::move(changes));
}

// Files and scripts may name ever new hosts. It takes a look at all endpoints, so it is not done at
// each change.
void Server::forget_unused_names() {
  if (snapshot_ == nullptr || !std::exchange(names_in_doubt_, false)) return;
  names_.keep_only(upstream::names_of(snapshot_->endpoints));
}

// What a script has set holds until the configuration says something else than it did.
void Server::keep_script_endpoints(const config::Snapshot& snapshot, upstream::EndpointSet& to) {
  std::set<std::string> kept;
  for (const std::string& name : by_script_) {
    const config::Cluster* now = snapshot.find_cluster(name);
    const config::Cluster* before = snapshot_->config.find_cluster(name);
    const auto same = [](const config::Endpoint& a, const config::Endpoint& b) {
      return a.url == b.url && a.weight == b.weight && a.tags == b.tags;
    };
    if (now == nullptr || before == nullptr || now->dns || !now->file.empty()) continue;
    if (!std::ranges::equal(now->endpoints, before->endpoints, same)) continue;
    to[static_cast<size_t>(now - snapshot.clusters.data())] =
        snapshot_->endpoints[static_cast<size_t>(before - snapshot_->config.clusters.data())];
    kept.insert(name);
  }
  by_script_ = std::move(kept);
}

}  // namespace tidegate::server
