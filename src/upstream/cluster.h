// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "config/snapshot.h"
#include "upstream/balancer.h"
#include "upstream/endpoint.h"

namespace tidegate::upstream {

class Pool;

/// A cluster as one worker uses it: the endpoints (shared with the other workers), a pool for each,
/// and a balancer. Built per snapshot and worker; the pools outlive it where endpoints stay.
class Cluster {
 public:
  struct Member {
    Endpoint* endpoint;
    Pool* pool;
  };

  /// `seed`: of the balancer's random numbers.
  Cluster(const config::Cluster& config, std::vector<Member> members, uint64_t seed);

  const std::string& name() const { return config_.name; }
  const config::Cluster& config() const { return config_; }
  const std::vector<Member>& members() const { return members_; }
  /// The balancer's choice among available endpoints, or nullptr.
  const Member* pick(const PickContext& context);
  const Member* find(const Endpoint* endpoint) const;
  /// By "host:port".
  const Member* find(std::string_view address) const;
  /// The head of a response came from `endpoint` after that time.
  void note_latency(const Endpoint& endpoint, Duration took, TimePoint now) const;
  /// Any endpoint available.
  bool healthy() const;

 private:
  const config::Cluster& config_;
  std::vector<Member> members_;
  std::unique_ptr<Balancer> balancer_;
};

}  // namespace tidegate::upstream
