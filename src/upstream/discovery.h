// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/environment.h"
#include "config/snapshot.h"
#include "net/file_watch.h"
#include "net/resolver.h"
#include "telemetry/registry.h"
#include "upstream/dns_source.h"
#include "upstream/endpoint_set.h"
#include "upstream/names.h"

namespace tidegate::upstream {

/// Finds out the endpoints of clusters that have them from DNS or from a file, and tells when they
/// may have changed. What it can not find out it logs, counts, and leaves as it was. Control
/// thread.
class Discovery {
 public:
  /// Not called from inside `follow`.
  using OnEndpoints =
      std::function<void(const std::string& cluster, std::vector<EndpointSpec> specs)>;

  /// `names`: of the endpoints in files.
  Discovery(net::EventLoop& loop, telemetry::Shard& cells, config::Environment environment,
            Names& names, OnEndpoints on_endpoints);
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  /// The clusters to find out about from now on; those whose settings are as before go on as they
  /// were. An error: DNS can not be set up, and nothing has changed.
  Fallible<void> follow(const config::Snapshot& snapshot);
  /// Finds out nothing more; not from inside a callback of its own.
  void stop();
  /// DNS has said something, good or bad, of each cluster.
  bool settled() const { return unsettled_.empty(); }

 private:
  struct Source {
    std::unique_ptr<DnsSource> dns;
    bool failing = false;  // and it has been said
  };
  Fallible<void> set_up_resolver(const config::Resolver& wanted);
  void follow_dns(const config::Snapshot& snapshot, bool asked_anew);
  void follow_files(const config::Snapshot& snapshot);
  void on_dns(const std::string& cluster, DnsSource::Outcome outcome);
  void on_files(const std::set<std::string>& changed);
  void count(const std::string& cluster, const char* outcome);
  double random();

  net::EventLoop& loop_;
  telemetry::Shard& cells_;
  const config::Environment environment_;
  Names& names_;
  const OnEndpoints on_endpoints_;
  config::Resolver resolver_config_;
  std::unique_ptr<net::Resolver> resolver_;
  std::map<std::string, Source> sources_;         // by cluster
  std::set<std::string> unsettled_;               // clusters
  std::map<std::string, config::Cluster> files_;  // clusters with a file, by name
  std::set<std::string> refused_;                 // clusters whose file was, and it has been said
  std::unique_ptr<net::FileWatch> watch_;
  std::map<std::string, telemetry::Lease> leases_;  // of the counters of each cluster
  uint64_t random_state_;
};

}  // namespace tidegate::upstream
