// SPDX-License-Identifier: Apache-2.0
#include "upstream/pools.h"

namespace tidegate::upstream {

Pool& Pools::acquire(const std::shared_ptr<Endpoint>& endpoint, const Pool::Settings& settings,
                     const Metrics& metrics) {
  Entry& entry = entries_[endpoint.get()];
  if (entry.pool == nullptr) {
    entry.pool = std::make_unique<Pool>(loop_, endpoint, settings,
                                        Pool::Cells{metrics(), connections_active_});
    entry.pool->when_exhausted([this] { return close_idle(); });
  } else {
    entry.pool->configure(settings);
  }
  ++entry.users;
  return *entry.pool;
}

bool Pools::close_idle() {
  for (auto& [endpoint, entry] : entries_) {
    if (entry.pool->close_idle()) return true;
  }
  return false;
}

void Pools::give_back(Pool& pool) {
  const auto at = entries_.find(&pool.endpoint());
  // The last route table that uses it goes after its last exchange, so nothing is busy or waits.
  if (--at->second.users == 0) entries_.erase(at);
}

}  // namespace tidegate::upstream
