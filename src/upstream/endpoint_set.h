// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <vector>

#include "config/snapshot.h"
#include "upstream/endpoint.h"

namespace tidegate::upstream {

/// The endpoints of all clusters of one snapshot, in its order; shared by the workers.
using EndpointSet = std::vector<std::vector<std::shared_ptr<Endpoint>>>;

/// Resolves the endpoints' names (blocks: off the workers). An endpoint that `previous` has under
/// the same cluster, with equal settings and addresses, is taken over with its state. Every failure
/// is appended to `errors` as "file:line: what".
EndpointSet resolve_endpoints(const config::Snapshot& snapshot, const config::Snapshot* previous,
                              const EndpointSet* previous_set, std::vector<std::string>& errors);

}  // namespace tidegate::upstream
