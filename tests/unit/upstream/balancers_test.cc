// SPDX-License-Identifier: Apache-2.0
// What all balancers keep to, and the shares that each gives.
#include <doctest/doctest.h>

#include <array>
#include <set>

#include "balancer_rig.h"

using namespace tidegate;
using namespace std::chrono_literals;
using test::BalancerRig;
using test::near;

namespace {

constexpr std::array<const char*, 7> kAll{
    "round_robin", "weighted", "random", "least_connections", "p2c", "ewma", "consistent_hash"};
/// Those that give even shares to idle equals and heed weights.
constexpr std::array<const char*, 5> kWeighted{"weighted", "random", "least_connections", "p2c",
                                               "ewma"};

}  // namespace

TEST_CASE("a balancer is known by its name, and no other") {
  for (const char* name : kAll) CHECK((upstream::find_balancer(name) != nullptr));
  CHECK((upstream::find_balancer("sticky") == nullptr));
}

TEST_CASE("every balancer passes over what is unhealthy or draining, and comes back to it") {
  for (const char* name : kAll) {
    CAPTURE(name);
    BalancerRig rig(name, 4);
    rig.pick();
    rig.set_healthy(1, false);
    rig.endpoints[2]->set_draining(true, rig.now);
    const auto without = rig.shares(400);
    CHECK(without[1] == 0);
    CHECK(without[2] == 0);
    rig.set_healthy(1, true);
    rig.endpoints[2]->set_draining(false, rig.now);
    std::set<int> seen;
    for (int i = 0; i < 400; ++i) seen.insert(rig.pick_for("key" + std::to_string(i)));
    CHECK(seen.size() == 4);
  }
}

TEST_CASE("every balancer gives nothing when nothing is available, or there is nothing") {
  for (const char* name : kAll) {
    CAPTURE(name);
    BalancerRig none(name);
    CHECK(none.pick() == -1);
    BalancerRig rig(name, 2);
    rig.set_healthy(0, false);
    rig.set_healthy(1, false);
    CHECK(rig.pick() == -1);
  }
}

TEST_CASE("every balancer goes to another endpoint than those tried, while there is one") {
  for (const char* name : kAll) {
    CAPTURE(name);
    BalancerRig rig(name, 40);
    std::vector<const upstream::Endpoint*> tried;
    for (size_t i = 0; i < 39; ++i) tried.push_back(rig.endpoints[i].get());
    for (int i = 0; i < 20; ++i) CHECK(rig.pick(tried) == 39);
    tried.push_back(rig.endpoints[39].get());
    CHECK(rig.pick(tried) >= 0);
  }
}

TEST_CASE("C5: an endpoint of weight 0 gets nothing from any balancer") {
  for (const char* name : kAll) {
    CAPTURE(name);
    BalancerRig rig(name, 2);
    const upstream::Endpoint& idle = rig.add(0);
    for (int i = 0; i < 200; ++i) CHECK(rig.pick_for(std::to_string(i)) != 2);
    CHECK(rig.pick({rig.endpoints[0].get(), rig.endpoints[1].get()}) != 2);
    rig.set_healthy(0, false);
    rig.set_healthy(1, false);
    CHECK(rig.pick() == -1);
    CHECK(idle.available(rig.now));
  }
}

TEST_CASE("C5: round robin heeds weights, under either of its names") {
  for (const char* name : {"round_robin", "weighted"}) {
    CAPTURE(name);
    BalancerRig three(name);
    for (const uint32_t weight : {3U, 1U}) three.add(weight);
    for (int round = 0; round < 10; ++round) CHECK(three.shares(4) == std::vector{3, 1});
    BalancerRig drained(name);
    for (const uint32_t weight : {0U, 1U}) drained.add(weight);
    CHECK(drained.shares(24) == std::vector{0, 24});
    BalancerRig some(name);
    for (const uint32_t weight : {2U, 0U, 2U, 1U}) some.add(weight);
    CHECK(some.shares(50) == std::vector{20, 0, 20, 10});
    // What is left has equal weights, and takes turns.
    some.set_healthy(3, false);
    for (int round = 0; round < 10; ++round) CHECK(some.shares(2) == std::vector{1, 0, 1, 0});
    some.set_healthy(3, true);
    CHECK(some.shares(50) == std::vector{20, 0, 20, 10});
  }
}

TEST_CASE("round robin takes turns, from where it was after a change") {
  BalancerRig rig("round_robin", 4);
  CHECK(rig.shares(400) == std::vector{100, 100, 100, 100});
  CHECK(rig.pick() == 0);
  rig.set_healthy(1, false);
  CHECK(rig.pick() == 2);
  CHECK(rig.pick() == 3);
  CHECK(rig.pick() == 0);
}

TEST_CASE("weighted gives each exactly its share, and never in one run") {
  BalancerRig rig("weighted");
  for (const uint32_t weight : {5U, 2U, 1U}) rig.add(weight);
  for (int round = 0; round < 100; ++round) CHECK(rig.shares(8) == std::vector{5, 2, 1});
  int run = 0;
  for (int i = 0; i < 80; ++i) {
    run = rig.pick() == 0 ? run + 1 : 0;
    CHECK(run <= 3);
  }
}

TEST_CASE("weighted: one that comes back has nothing to catch up") {
  BalancerRig rig("weighted", 3);
  rig.set_healthy(0, false);
  rig.shares(1000);
  rig.set_healthy(0, true);
  CHECK(rig.shares(30) == std::vector{10, 10, 10});
}

TEST_CASE("random shares are those of the weights") {
  BalancerRig rig("random");
  for (const uint32_t weight : {1U, 2U, 3U, 4U}) rig.add(weight);
  const auto shares = rig.shares(100'000);
  for (size_t i = 0; i < 4; ++i)
    CHECK(near(shares[i], 10'000.0 * static_cast<double>(i + 1), 0.05));
}

TEST_CASE("idle equals get even shares") {
  for (const char* name : kWeighted) {
    CAPTURE(name);
    for (const size_t count : {10UL, 100UL}) {
      BalancerRig rig(name, count);
      for (const int share : rig.shares(static_cast<int>(count) * 1000))
        CHECK(near(share, 1000, 0.2));
    }
  }
}

TEST_CASE("weights hold for one request at a time") {
  for (const char* name : kWeighted) {
    for (const bool answered : {false, true}) {
      CAPTURE(name);
      CAPTURE(answered);
      BalancerRig rig(name);
      for (const uint32_t weight : {3U, 1U}) rig.add(weight);
      for (const auto& endpoint : rig.endpoints) {
        if (answered) endpoint->peak_latency.note(10ms, rig.now);
      }
      CHECK(near(rig.shares(10'000)[0], 7500, 0.05));
    }
  }
}

TEST_CASE("least_connections of many heeds weights and warmth too") {
  BalancerRig rig("least_connections");
  rig.config.slow_start = 30s;
  for (int i = 0; i < 100; ++i) rig.add(i < 50 ? 1 : 3);
  rig.pick();
  rig.endpoints[0]->begin_slow_start(rig.now);
  const auto shares = rig.shares(100'000);
  for (size_t i = 1; i < 100; ++i) CHECK(near(shares[i], i < 50 ? 500 : 1500, 0.2));
  CHECK(near(shares[0], 50, 0.5));
}

TEST_CASE("least_connections fills up the least busy, by weight") {
  BalancerRig rig("least_connections");
  for (const uint32_t weight : {1U, 1U, 2U}) rig.add(weight);
  rig.endpoints[0]->active = 10;
  for (int i = 0; i < 30; ++i) rig.begin();
  CHECK(rig.endpoints[0]->active == 10);
  CHECK(rig.endpoints[1]->active == 10);
  CHECK(rig.endpoints[2]->active == 20);
}

TEST_CASE("least_connections of a thousand keeps close to even") {
  BalancerRig rig("least_connections", 1000);
  for (int i = 0; i < 10'000; ++i) rig.begin();
  for (const auto& endpoint : rig.endpoints) {
    CHECK(endpoint->active >= 7);
    CHECK(endpoint->active <= 12);
  }
}

TEST_CASE("p2c keeps requests under way close to even, and close to the weights") {
  BalancerRig rig("p2c");
  for (int i = 0; i < 50; ++i) rig.add(i < 25 ? 1 : 3);
  for (int i = 0; i < 10'000; ++i) rig.begin();
  for (size_t i = 0; i < 50; ++i) {
    CHECK(near(static_cast<int>(rig.endpoints[i]->active), i < 25 ? 100 : 300, 0.15));
  }
}

TEST_CASE("a busy endpoint gets next to nothing from p2c and least_connections") {
  for (const char* name : {"p2c", "least_connections"}) {
    CAPTURE(name);
    BalancerRig rig(name, 10);
    rig.endpoints[3]->active = 100;
    CHECK(rig.shares(1000)[3] <= 20);
  }
}

TEST_CASE("consistent_hash alone asks for the key") {
  for (const char* name : kAll) {
    BalancerRig rig(name, 3);
    rig.pick();
    CHECK(rig.key_asked == (std::string_view(name) == "consistent_hash" ? 1 : 0));
  }
}
