// SPDX-License-Identifier: Apache-2.0
// Locality and panic, which hold whatever the balancer.
#include <doctest/doctest.h>

#include "balancer_rig.h"

using namespace tidegate;
using test::BalancerRig;

namespace {

using Tags = std::map<std::string, std::string>;

/// Endpoints 0 to 3 in eu, 4 to 7 in us.
BalancerRig two_zones(const char* balancer) {
  BalancerRig rig(balancer);
  for (int i = 0; i < 8; ++i) rig.add(1, {{"zone", i < 4 ? "eu" : "us"}});
  rig.config.locality = config::Locality{"zone", "eu", 0.7};
  return rig;
}

int local_of(BalancerRig& rig, int picks) {
  int local = 0;
  for (int i = 0; i < picks; ++i) local += rig.pick_for(std::to_string(i)) < 4 ? 1 : 0;
  return local;
}

}  // namespace

TEST_CASE("endpoints with the locality's tag get everything while enough are available") {
  for (const char* name : {"round_robin", "weighted", "random", "least_connections", "p2c", "ewma",
                           "consistent_hash"}) {
    CAPTURE(name);
    BalancerRig rig = two_zones(name);
    CHECK(local_of(rig, 400) == 400);
    rig.set_healthy(0, false);
    CHECK(local_of(rig, 400) == 400);
    rig.set_healthy(1, false);
    CHECK(test::near(local_of(rig, 3000), 1000, 0.25));
    rig.set_healthy(1, true);
    CHECK(local_of(rig, 400) == 400);
  }
}

TEST_CASE("a retry leaves the locality before it goes where it has been") {
  BalancerRig rig = two_zones("p2c");
  std::vector<const upstream::Endpoint*> tried;
  for (size_t i = 0; i < 4; ++i) tried.push_back(rig.endpoints[i].get());
  for (int i = 0; i < 50; ++i) CHECK(rig.pick(tried) >= 4);
}

TEST_CASE("a locality that no endpoint has changes nothing") {
  BalancerRig rig = two_zones("round_robin");
  rig.config.locality->value = "asia";
  CHECK(local_of(rig, 800) == 400);
}

TEST_CASE("below panic_threshold all endpoints are used, but for draining ones") {
  BalancerRig rig("round_robin", 4);
  rig.config.panic_threshold = 0.5;
  rig.endpoints[3]->set_draining(true, rig.now);
  rig.set_healthy(0, false);
  rig.set_healthy(1, false);
  CHECK(rig.shares(30) == std::vector{0, 0, 30, 0});
  rig.set_healthy(2, false);
  CHECK(rig.shares(30) == std::vector{10, 10, 10, 0});
}

TEST_CASE("without panic_threshold the last healthy endpoint carries all, and then none does") {
  BalancerRig rig("round_robin", 3);
  rig.set_healthy(0, false);
  rig.set_healthy(1, false);
  CHECK(rig.shares(9) == std::vector{0, 0, 9});
  rig.set_healthy(2, false);
  CHECK(rig.pick() == -1);
}

TEST_CASE("C6: an endpoint whose name does not resolve is never picked, not even in panic") {
  for (const char* name : {"round_robin", "random", "least_connections", "p2c", "ewma"}) {
    CAPTURE(name);
    BalancerRig rig(name, 3);
    rig.config.panic_threshold = 1;
    rig.endpoints[1]->resolved.clear();
    rig.set_healthy(0, false);
    rig.set_healthy(1, false);
    rig.set_healthy(2, false);
    for (int i = 0; i < 30; ++i) CHECK(rig.pick() != 1);
    rig.set_healthy(1, true);
    for (int i = 0; i < 30; ++i) CHECK(rig.pick() != 1);
  }
}
