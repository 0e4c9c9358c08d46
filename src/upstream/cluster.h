// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "config/snapshot.h"
#include "upstream/balancer.h"
#include "upstream/cluster_ring.h"
#include "upstream/membership.h"

namespace tidegate::upstream {

/// A cluster as one worker uses it: its members (endpoints, which are shared with the other
/// workers, and a pool for each) and a balancer over them. Built per snapshot and worker; the pools
/// outlive it where endpoints stay.
class Cluster {
 public:
  using Member = upstream::Member;

  /// Takes over the caller's pin of `members`. `seed`: of the balancer's random numbers. `ring`: of
  /// these members, if the balancer wants one; nullptr: it makes its own.
  Cluster(const config::Cluster& config, Membership* members, uint64_t seed,
          ClusterRing ring = nullptr);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster();

  const std::string& name() const { return config_.name; }
  const config::Cluster& config() const { return config_; }
  /// The current ones. Who keeps a pointer to one of them beyond the call pins this.
  Membership& membership() { return *membership_; }
  const std::vector<Member>& members() const { return membership_->members(); }
  /// The endpoints have changed; takes over the caller's pin of `members`.
  void replace_members(Membership* members, ClusterRing ring = nullptr);

  /// The balancer's choice among available endpoints, or nullptr.
  const Member* pick(const PickContext& context);

  /// An endpoint for an attempt, and its breaker's leave, which `settle` or Breaker::cancel gives
  /// back.
  struct Admission {
    const Member* member = nullptr;  // nullptr: none is available
    Breaker::Ticket ticket{};
  };
  /// `wanted` if its breaker lets it, healthy or not; else, or if nullptr, the balancer's choice.
  Admission admit(const Member* wanted, const PickContext& context);
  /// The attempt has gone so far that it speaks for or against its endpoint.
  void settle(Endpoint& endpoint, Breaker::Ticket ticket, const Outcome& outcome, TimePoint now);
  /// Nothing is available, and breakers are why: how long until one may be tried. Zero: they are
  /// not.
  Duration breakers_hold_for(TimePoint now) const;
  const Member* find(const Endpoint* endpoint) const { return membership_->find(endpoint); }
  /// By "host:port".
  const Member* find(std::string_view address) const { return membership_->find(address); }
  /// The head of a response came from `endpoint` after that time.
  void note_latency(const Endpoint& endpoint, Duration took, TimePoint now) const;
  /// Any endpoint available; up to a millisecond late where a breaker's trials decide.
  bool healthy(TimePoint now) const;

 private:
  void make_balancer(ClusterRing ring);
  /// Sums over all endpoints that requests ask for. Taken anew when some endpoint has changed or a
  /// millisecond has passed, so that thousands of failing requests do not look at thousands of
  /// endpoints each.
  struct Survey {
    uint64_t changes = 0;
    TimePoint taken_at{};
    size_t available = 0;
    size_t ejected = 0;      // those whose breaker is not closed
    TimePoint held_until{};  // by a breaker, the first to let go; not after `taken_at`: by none
  };
  const Survey& survey(TimePoint now) const;
  bool eject(Endpoint& endpoint, TimePoint now);
  bool can_spare_one(TimePoint now) const;
  const config::Cluster& config_;
  Membership* membership_;
  uint64_t seed_;
  std::unique_ptr<Balancer> balancer_;
  mutable Survey survey_;
};

}  // namespace tidegate::upstream
