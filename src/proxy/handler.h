// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "config/snapshot.h"

namespace tidegate::proxy {

class Exchange;

/// Answers exchanges without an origin: a route's `respond`, `redirect` or `echo`, or the admin API.
/// One object per route and worker.
class Handler {
 public:
  virtual ~Handler() = default;
  /// Calls Exchange::answer, now or once the request's body is there.
  virtual void handle(Exchange& exchange) = 0;
};

/// The handler of a route without a cluster, or nullptr. `route` outlives it.
std::unique_ptr<Handler> make_handler(const config::Route& route);

}  // namespace tidegate::proxy
