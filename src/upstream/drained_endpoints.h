// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "upstream/endpoint_set.h"

namespace tidegate::upstream {

/// Which endpoints were drained when they left their cluster, so that they are when they come back:
/// somebody drained the address, and an endpoint file that is written anew is not to undo it. By
/// cluster and address; of more than kMost the oldest are forgotten. Control thread.
class DrainedEndpoints {
 public:
  static constexpr size_t kMost = 10'000;

  /// `now` is about to take the place of `before`. To be called before `now` is handed out.
  void update(const std::string& cluster, const Endpoints& before, const Endpoints& now,
              TimePoint time);
  /// The same for all clusters of a snapshot, those that go included. `before`: nullptr: none.
  void update(const config::Snapshot* before, const EndpointSet* before_set,
              const config::Snapshot& now, const EndpointSet& now_set, TimePoint time);
  size_t size() const { return known_.size(); }

 private:
  using Key = std::pair<std::string, std::string>;  // cluster, address
  void remember(Key key);

  std::map<Key, uint64_t> known_;               // to its number in `order_`
  std::deque<std::pair<uint64_t, Key>> order_;  // oldest first; of a key only the last counts
  uint64_t last_ = 0;                           // number
};

}  // namespace tidegate::upstream
