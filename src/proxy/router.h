// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string_view>

#include "config/snapshot.h"
#include "http/message.h"

namespace tidegate::proxy {

/// Chooses the route of a request. Compiled once from a snapshot, which must outlive it; immutable
/// after, so that all workers share one.
///
/// The order of choice: exact host, then wildcard host (the longest suffix first), then routes for
/// any host; within each, exact path, then prefix (the longest first); within each, the order in
/// the file. A route whose methods, headers or listener do not fit is passed over and the next in
/// that order is tried. "*.example.com" stands for one or more labels before ".example.com". A
/// prefix matches on segment borders; a route without path and prefix matches every path.
///
/// A match takes as many hash look-ups as the path has segments, per group of hosts that fits,
/// whatever the number of routes; it allocates nothing.
class Router {
 public:
  explicit Router(const config::Snapshot& snapshot);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  /// The route, within the snapshot, or nullptr. REQUIRES: head.path is canonical; `host` is lower
  /// case and without port, as by http::split_authority.
  const config::Route* match(const http::RequestHead& head, std::string_view host,
                             std::string_view listener) const;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;
};

}  // namespace tidegate::proxy
