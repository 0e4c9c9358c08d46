// SPDX-License-Identifier: Apache-2.0
// What `tidegate check` says of the names of endpoints.
#pragma once
#include <string>
#include <vector>

#include "config/snapshot.h"
#include "net/name_resolver.h"

namespace tidegate::server {

/// A warning for each endpoint whose name, or that of the proxy on the way to it, does not resolve
/// here and now; one more for all names that are not answered for `within` this time. Blocks.
std::vector<std::string> doubtful_names(
    const config::Snapshot& snapshot, Duration within,
    net::NameResolver::LookUp look_up = net::NameResolver::system_look_up);

}  // namespace tidegate::server
