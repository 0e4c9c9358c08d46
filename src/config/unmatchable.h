// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "config/snapshot.h"

namespace tidegate::config {

/// Why no request that comes by any of `listeners` can have this header when routes are matched,
/// and what to do; empty: one can. `name` in lower case.
std::string why_never_there(std::string_view name, std::span<const Listener* const> listeners);

/// The headers that concern one connection only, so that no route sees them. Not `te` and
/// `trailer`, which sometimes stay. For tests: the proxy must remove these.
std::span<const std::string_view> hop_by_hop_headers();

}  // namespace tidegate::config
