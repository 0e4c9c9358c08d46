// SPDX-License-Identifier: Apache-2.0
// What the admin API shows, as JSON.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "admin/admin_api.h"
#include "config/snapshot.h"
#include "proxy/shared_snapshot.h"

namespace tidegate::admin {

nlohmann::ordered_json view_of_status(const Sources& sources, Duration uptime);
nlohmann::ordered_json view_of_policies(const std::vector<PolicyState>& policies);
nlohmann::ordered_json view_of_routes(const config::Snapshot& snapshot);
/// With each endpoint's state of the moment.
nlohmann::ordered_json view_of_clusters(const proxy::SharedSnapshot& snapshot);
nlohmann::ordered_json view_of_endpoint(const upstream::ListedEndpoint& listed);
/// Of the clusters that have breakers.
nlohmann::ordered_json view_of_breakers(const proxy::SharedSnapshot& snapshot);
nlohmann::ordered_json view_of_breaker(const upstream::Endpoint& endpoint);

}  // namespace tidegate::admin
