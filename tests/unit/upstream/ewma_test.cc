// SPDX-License-Identifier: Apache-2.0
// Peak latency, and the balancer that goes by it.
#include <doctest/doctest.h>

#include "balancer_rig.h"

using namespace tidegate;
using namespace std::chrono_literals;
using test::BalancerRig;
using upstream::PeakLatency;

namespace {

void all_answer_in(BalancerRig& rig, Duration took) {
  for (const auto& endpoint : rig.endpoints) endpoint->peak_latency.note(took, rig.now);
}

}  // namespace

TEST_CASE("a slower answer counts at once, faster ones bit by bit") {
  PeakLatency latency;
  TimePoint now{1h};
  CHECK(latency.at(now) < 0);
  latency.note(10ms, now);
  CHECK(latency.at(now) == doctest::Approx(10'000));
  latency.note(500ms, now);
  CHECK(latency.at(now) == doctest::Approx(500'000));
  double before = 500'000;
  for (int i = 0; i < 50; ++i) {
    now += 1s;
    latency.note(10ms, now);
    CHECK(latency.at(now) < before);
    CHECK(latency.at(now) > 10'000);
    before = latency.at(now);
  }
  CHECK(before < 15'000);
}

TEST_CASE("an old peak is forgotten, so that the endpoint is tried again") {
  PeakLatency latency;
  TimePoint now{1h};
  latency.note(2s, now);
  CHECK(latency.at(now + 7s) == doctest::Approx(1'000'000).epsilon(0.02));
  CHECK(latency.at(now + 2min) < 20);
}

TEST_CASE("ewma keeps away from an endpoint ten times slower than the rest") {
  BalancerRig rig("ewma", 10);
  all_answer_in(rig, 10ms);
  rig.endpoints[4]->peak_latency.note(100ms, rig.now);
  CHECK(rig.shares(10'000)[4] == 0);
  // … until the others have nine requests each on them.
  for (const auto& endpoint : rig.endpoints) endpoint->active = 12;
  rig.endpoints[4]->active = 0;
  CHECK(rig.shares(10'000)[4] > 1500);
}

TEST_CASE("no herd runs over an endpoint that is new: one request, until it has answered") {
  BalancerRig rig("ewma", 10);
  all_answer_in(rig, 10ms);
  upstream::Endpoint& fresh = rig.add();
  for (int i = 0; i < 1000; ++i) rig.begin();
  CHECK(fresh.active == 1);
  fresh.active = 0;
  fresh.peak_latency.note(10ms, rig.now);
  const uint32_t others = rig.endpoints[0]->active;
  for (int i = 0; i < 100; ++i) rig.begin();
  CHECK(fresh.active < others);
}

TEST_CASE("no herd runs over a new endpoint in its slow start") {
  for (const char* name : {"round_robin", "weighted", "random", "least_connections", "p2c"}) {
    CAPTURE(name);
    BalancerRig rig(name, 9);
    rig.config.slow_start = 30s;
    rig.pick();
    for (const auto& endpoint : rig.endpoints) endpoint->active = 10;
    rig.add().begin_slow_start(rig.now);
    rig.endpoints[9]->active = 1;  // busy as its weight allows
    CHECK(rig.shares(1000)[9] <= 30);
  }
}

TEST_CASE("the share of an endpoint that came back grows from a tenth to the whole") {
  for (const char* name : {"round_robin", "weighted", "random", "least_connections", "p2c"}) {
    CAPTURE(name);
    BalancerRig rig(name, 10);
    rig.config.slow_start = 30s;
    rig.set_healthy(7, false);
    rig.shares(100);
    rig.set_healthy(7, true);
    const int first = rig.shares(20'000)[7];
    rig.now += 15s;
    const int half = rig.shares(20'000)[7];
    rig.now += 15s;
    const int full = rig.shares(20'000)[7];
    CHECK(test::near(first, 220, 0.35));
    CHECK(test::near(half, 1050, 0.2));
    CHECK(test::near(full, 2000, 0.15));
  }
}

TEST_CASE("a cold endpoint gets a tenth of its share while there is little to do") {
  for (const char* name : {"least_connections", "p2c", "ewma"}) {
    CAPTURE(name);
    BalancerRig rig(name, 9);
    rig.config.slow_start = 30s;
    rig.pick();
    rig.add().begin_slow_start(rig.now);
    all_answer_in(rig, 10ms);
    // One request at a time, and then always one under way when the next comes.
    CHECK(test::near(rig.shares(20'000)[9], 220, 0.35));
    int share = 0;
    int before = rig.begin();
    for (int i = 0; i < 20'000; ++i) {
      const int index = rig.begin();
      share += index == 9 ? 1 : 0;
      --rig.endpoints[static_cast<size_t>(std::exchange(before, index))]->active;
    }
    CHECK(test::near(share, 230, 0.4));
  }
}

TEST_CASE("endpoints that began with the process are warm") {
  BalancerRig rig("random", 4);
  rig.config.slow_start = 1h;
  for (const int share : rig.shares(4000)) CHECK(test::near(share, 1000, 0.15));
}
