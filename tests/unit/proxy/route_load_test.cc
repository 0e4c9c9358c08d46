// SPDX-License-Identifier: Apache-2.0
#include "proxy/route_load.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace tidegate;
using namespace tidegate::proxy;

TEST_CASE("a client's places are its own, and come back") {
  RouteLoad load;
  uint64_t* first = load.enter_client("a", 2);
  uint64_t* second = load.enter_client("a", 2);
  REQUIRE(first != nullptr);
  REQUIRE(second != nullptr);
  CHECK(load.enter_client("a", 2) == nullptr);
  CHECK(load.enter_client("b", 2) != nullptr);
  give_place_back(*first);
  CHECK(load.enter_client("a", 2) != nullptr);
  CHECK(load.enter_client("a", 2) == nullptr);
}

TEST_CASE("threads never have more under way than allowed") {
  RouteLoad load;
  constexpr uint64_t kMax = 3;
  std::vector<std::atomic<int>> under_way(50);
  std::atomic<bool> exceeded{false};
  std::atomic<int> entered{0};
  std::vector<std::thread> team;
  for (int i = 0; i < 6; ++i) {
    team.emplace_back([&, i] {
      for (int n = 0; n < 20'000; ++n) {
        const auto client = static_cast<size_t>(n * 7 + i) % under_way.size();
        uint64_t* count = load.enter_client(std::to_string(client), kMax);
        if (count == nullptr) continue;
        ++entered;
        if (++under_way[client] > static_cast<int>(kMax)) exceeded = true;
        --under_way[client];
        give_place_back(*count);
      }
    });
  }
  for (std::thread& thread : team) thread.join();
  CHECK_FALSE(exceeded);
  CHECK(entered > 100'000);
}

TEST_CASE("a reload keeps what is under way") {
  std::vector<config::Route> routes(2);
  routes[0].name = "limited";
  routes[0].max_requests = 5;
  routes[1].name = "free";
  const RouteLoads before = make_loads(routes, nullptr, nullptr);
  CHECK(before[0] != nullptr);
  CHECK(before[1] == nullptr);
  std::vector<config::Route> changed(1);
  changed[0].name = "limited";
  changed[0].max_requests = 9;
  CHECK(make_loads(changed, &routes, &before)[0] == before[0]);
}
