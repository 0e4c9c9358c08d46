// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "upstream/candidates.h"
#include "upstream/endpoint.h"

namespace tidegate::upstream {

/// Gives what consistent_hash hashes; asked only by a balancer that wants it.
class HashKeySource {
 public:
  /// Empty: the request has no such thing. Good until the next call.
  virtual std::string_view hash_key(const config::HashOn& what) const = 0;

 protected:
  ~HashKeySource() = default;
};

/// What a balancer may look at beside its endpoints.
struct PickContext {
  std::span<const Endpoint* const>
      tried;  // by earlier attempts of this exchange; avoided if possible
  TimePoint now{};
  const HashKeySource* keys = nullptr;  // nullptr: nothing to hash
};

/// Picks an endpoint of one cluster. One object per cluster and worker, in that worker's thread;
/// what has to outlive it (active requests, latency, health) stands in the endpoints.
/// Another balancer is one file and one line in balancer.cc.
class Balancer {
 public:
  virtual ~Balancer() = default;

  /// Index into the endpoints it was made with, of one that can be picked at present, or -1. One
  /// that was tried before is given only if there is no other.
  int pick(const PickContext& context);
  /// Endpoints' `peak_latency` is to be kept for it.
  virtual bool wants_latency() const { return false; }

 protected:
  explicit Balancer(Candidates candidates) : candidates_(std::move(candidates)) {}

  /// A candidate for which `fits` holds. -1: none was found with fair effort; then `pick` looks at
  /// all of them.
  virtual int choose(const PickContext& context) = 0;
  /// The list of candidates is another one.
  virtual void on_candidates_changed() {}

  /// Still usable, and not yet tried.
  bool fits(size_t index, const PickContext& context) const {
    return candidates_.usable(index, context.now) && !was_tried(index, context);
  }

  Candidates candidates_;

 private:
  bool was_tried(size_t index, const PickContext& context) const;
  int last_resort(const PickContext& context, bool avoid_tried);
};

using BalancerFactory = std::unique_ptr<Balancer> (*)(Candidates candidates);

/// nullptr: no balancer of that name.
BalancerFactory find_balancer(std::string_view name);

}  // namespace tidegate::upstream
