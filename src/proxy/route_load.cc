// SPDX-License-Identifier: Apache-2.0
#include "proxy/route_load.h"

#include <unordered_map>

namespace tidegate::proxy {

uint64_t* RouteLoad::enter_client(std::string_view client, uint64_t max) {
  uint64_t* taken_from = nullptr;
  clients_.with(
      hash_(client), [](uint64_t* count) { return places_taken(*count) == 0; },
      [&](uint64_t* count) {
        // Called again: the place was taken in words that now belong to another client.
        if (taken_from != nullptr) give_place_back(*taken_from);
        taken_from = take_place(*count, max) ? count : nullptr;
        return true;
      });
  return taken_from;
}

RouteLoads make_loads(const std::vector<config::Route>& routes,
                      const std::vector<config::Route>* previous,
                      const RouteLoads* previous_loads) {
  std::unordered_map<std::string_view, std::shared_ptr<RouteLoad>> known;
  for (size_t i = 0; previous != nullptr && i < previous->size(); ++i) {
    if ((*previous_loads)[i] != nullptr) known.emplace((*previous)[i].name, (*previous_loads)[i]);
  }
  RouteLoads loads;
  loads.reserve(routes.size());
  for (const config::Route& route : routes) {
    std::shared_ptr<RouteLoad>& load = loads.emplace_back();
    if (route.max_requests == 0 && route.max_requests_per_client == 0) continue;
    if (const auto at = known.find(route.name); at != known.end()) load = at->second;
    if (load == nullptr) load = std::make_shared<RouteLoad>();
  }
  return loads;
}

}  // namespace tidegate::proxy
