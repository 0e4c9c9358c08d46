// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/random.h"
#include "config/snapshot.h"
#include "upstream/endpoint.h"
#include "upstream/hash_ring.h"

namespace tidegate::upstream {

/// An endpoint that may be picked, and what its cluster says of it.
struct Candidate {
  Endpoint* endpoint;
  const EndpointSettings* settings;
};

/// So few are healthy that all are used.
bool panics(size_t healthy, size_t all, const config::Cluster& config);

/// Which endpoints of a cluster can be picked at present: those that are available, narrowed by
/// `locality`, widened by `panic_threshold`. A list that one worker keeps and makes anew only when
/// some endpoint has changed, so that a pick looks at no more endpoints than its algorithm needs.
class Candidates {
 public:
  /// `seed`: of its random numbers. `config` and what `all` points to must outlive it. `ring`: of
  /// all of them, for a balancer that wants one.
  Candidates(const std::vector<Candidate>& all, const config::Cluster& config, uint64_t seed,
             std::shared_ptr<const HashRing> ring = nullptr);

  /// Brings the list up to date; true: it is another one now.
  bool refresh(TimePoint now);

  const config::Cluster& config() const { return config_; }
  std::span<Endpoint* const> endpoints() const { return endpoints_; }
  /// Indices into endpoints(), ascending.
  const std::vector<uint32_t>& list() const { return list_; }
  bool contains(size_t index) const { return listed_[index]; }
  /// It can be picked at this moment, listed or not.
  bool usable(size_t index, TimePoint now) const;

  /// That of its settings.
  uint32_t full_weight(size_t index) const { return settings_[index]->weight; }
  /// Its weight of the moment: in a slow start a part of it.
  double weight(size_t index, TimePoint now) const {
    return static_cast<double>(full_weight(index)) * warmth(index, now);
  }
  /// From a tenth to 1: how far its slow start is.
  double warmth(size_t index, TimePoint now) const {
    return config_.slow_start <= Duration::zero() ? 1 : slow_start_of(index, now);
  }
  /// By chance, as often as it is warm: it may be picked as if it were warm.
  bool takes_part(size_t index, TimePoint now) {
    const double warm = warmth(index, now);
    return warm >= 1 || random_.unit() < warm;
  }
  /// A listed one at random, by weight; -1: none has a weight.
  int draw(TimePoint now);

  Random& random() { return random_; }
  /// nullptr: none was given.
  const std::shared_ptr<const HashRing>& ring() const { return ring_; }

 private:
  double slow_start_of(size_t index, TimePoint now) const;
  void list_available(TimePoint now);
  bool listable(size_t index, TimePoint now) const;
  bool local(size_t index) const;
  void prepare_draws();

  const config::Cluster& config_;
  std::vector<Endpoint*> endpoints_;
  std::vector<const EndpointSettings*> settings_;  // of each
  std::vector<uint32_t> list_;
  std::vector<bool> listed_;
  // Weighted draws: slot i stands for list_[i] up to its limit, beyond it for the alias (Vose
  // 1991). Empty while all weights are equal.
  struct Slot {
    double limit;
    uint32_t alias;
  };
  std::vector<Slot> slots_;
  uint64_t changes_seen_ = 0;
  TimePoint look_again_at_ = TimePoint::max();  // some breaker allows trials from then on
  bool any_weight_ = false;
  bool panic_ = false;
  std::shared_ptr<const HashRing> ring_;
  Random random_;
};

}  // namespace tidegate::upstream
