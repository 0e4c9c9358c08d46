// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/arena.h"
#include "base/keyed_hash.h"
#include "config/snapshot.h"
#include "proxy/key_table.h"
#include "proxy/sliding_window.h"
#include "proxy/token_bucket.h"

namespace tidegate::proxy {

/// One limit of the configuration with the counts of its keys, shared by all workers. It outlives a
/// reload that leaves its settings as they were.
class NamedLimit {
 public:
  struct Taken {
    bool allowed = false;
    Duration retry_after{};  // refused: how long until it could be allowed
    uint64_t remaining = 0;  // after this, if asked for
    Duration reset{};        // until all of it is there again, if asked for
  };

  /// `start`: no `take` will have an earlier `now`.
  NamedLimit(config::Limit settings, TimePoint start);

  const config::Limit& settings() const { return settings_; }
  /// The largest cost that can ever be taken.
  uint64_t capacity() const { return capacity_; }
  /// Takes `cost` for `key`, all or nothing. REQUIRES: 0 < cost <= capacity(). Any thread.
  Taken take(std::string_view key, uint64_t cost, TimePoint now, bool ask_remaining);
  /// What `take` would say at this moment; takes nothing.
  Taken ask(std::string_view key, uint64_t cost, TimePoint now);
  /// Times that a new key found no room and had to share a count.
  uint64_t overflows() const { return keys_.overflows(); }

 private:
  /// `act(algorithm, words)` on what is kept for the key.
  template <class Act>
  Taken at_key(std::string_view key, Duration time, const Act& act);
  // A worker reads its clock once a turn, which may have begun before the limit was made.
  Duration since_start(TimePoint now) const {
    return std::max(Duration::zero(), Duration(now - start_));
  }

  const config::Limit settings_;
  const TimePoint start_;
  const std::variant<SlidingWindow, TokenBucket> algorithm_;
  const uint64_t capacity_;
  const KeyedHash hash_;
  KeyTable keys_;
};

/// The limits of one snapshot, in its order.
using NamedLimits = std::vector<std::shared_ptr<NamedLimit>>;

/// Those of `previous` whose settings are equal are taken over with their counts.
NamedLimits make_limits(const std::vector<config::Limit>& limits, const NamedLimits* previous,
                        TimePoint now);

/// What an address counts as: itself, or for IPv6 the block of `ipv6_prefix` bits that it is in,
/// since one client has many addresses there.
std::string_view client_key(const IpAddress& address, std::string_view text, unsigned ipv6_prefix,
                            Arena& arena);

/// How the fields of the IETF draft "RateLimit header fields for HTTP"
/// (draft-ietf-httpapi-ratelimit-headers-10) name limit and state; lists of them are joined by ",
/// ".
std::string_view policy_field(const config::Limit& limit, Arena& arena);
std::string_view state_field(const config::Limit& limit, const NamedLimit::Taken& taken,
                             Arena& arena);
/// Whole seconds, rounded up.
uint64_t seconds_up(Duration time);

}  // namespace tidegate::proxy
