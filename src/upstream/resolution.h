// SPDX-License-Identifier: Apache-2.0
// Endpoints at the addresses of their names.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "config/snapshot.h"
#include "upstream/endpoint_set.h"
#include "upstream/names.h"

namespace tidegate::upstream {

/// Endpoints of `cluster`, or the proxies on the way to them, at the addresses that `names` knows
/// now; it is asked for what it does not know.
std::vector<EndpointSpec> resolve_names(const config::Cluster& cluster,
                                        const std::vector<config::Endpoint>& endpoints,
                                        Names& names);
/// Asks for all that `resolve_endpoints` is going to need.
void ask_for_names(const config::Snapshot& snapshot, Names& names);
/// The names that these are connected to by; of literal addresses none.
std::set<std::string> names_of(const EndpointSet& set);
/// The same endpoints, with those that are connected to by one of `changed` at the addresses that
/// it has now. Nothing: none is.
std::vector<EndpointSpec> moved(const Endpoints& endpoints, const std::set<std::string>& changed,
                                Names& names);

/// The endpoints that a snapshot begins with: those it names, resolved as above; of a cluster that
/// is to be discovered, those that the cluster of that name has in `previous`, until more is known.
EndpointSet resolve_endpoints(const config::Snapshot& snapshot, const config::Snapshot* previous,
                              const EndpointSet* previous_set, Names& names);

}  // namespace tidegate::upstream
