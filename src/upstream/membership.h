// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "upstream/balancer.h"
#include "upstream/endpoint.h"
#include "upstream/pools.h"

namespace tidegate::upstream {

/// An endpoint of a cluster as one worker uses it.
struct Member {
  Endpoint* endpoint;
  Pool* pool;
  std::shared_ptr<const EndpointSettings> settings;
};

/// The members of a cluster from one change of its endpoints to the next, in one worker: immutable
/// and counted. The cluster holds one pin on the current one; an exchange pins those that it looked
/// at, so that an endpoint it uses or shows to a script outlives its removal.
class Membership {
 public:
  /// Takes over the pools, each acquired once. REQUIRES: `pools` outlives it.
  Membership(Pools& pools, std::vector<Member> members);
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

  const std::vector<Member>& members() const { return members_; }
  const Member* find(const Endpoint* endpoint) const;
  /// By "host:port".
  const Member* find(std::string_view address) const;

  /// Another one has taken its place: the pools of endpoints that it does not have keep no idle
  /// connection from now on.
  void retire(const Membership& successor);

  Membership* pin() {
    ++pins_;
    return this;
  }
  void unpin() {
    if (--pins_ == 0) delete this;
  }

 private:
  ~Membership();

  Pools& pools_;
  const std::vector<Member> members_;
  uint32_t pins_ = 1;
};

}  // namespace tidegate::upstream
