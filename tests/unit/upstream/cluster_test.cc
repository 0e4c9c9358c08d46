// SPDX-License-Identifier: Apache-2.0
#include "upstream/cluster.h"

#include <doctest/doctest.h>

#include "telemetry/registry.h"
#include "upstream/endpoint_set.h"

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

namespace {

/// A cluster in one worker, whose pools make no connection.
struct Rig {
  explicit Rig(size_t count) {
    config.name = "users";
    config.breaker = config::Breaker{};
    config.breaker->recovery_timeout = 60s;
    for (size_t i = 0; i < count; ++i) {
      auto& endpoint = endpoints.emplace_back(std::make_shared<Endpoint>());
      endpoint->resolved.emplace_back();  // which is never connected to
      endpoint->address = "10.0.0." + std::to_string(i + 1) + ":80";
    }
  }

  Cluster& cluster() {
    if (made == nullptr) {
      std::vector<Member> members;
      for (const auto& endpoint : endpoints) {
        Pool& pool = pools.acquire(endpoint, {}, [&] {
          return telemetry::EndpointMetrics(shard, config.name, endpoint->address);
        });
        members.push_back({endpoint.get(), &pool, settings});
      }
      made = std::make_unique<Cluster>(config, new Membership(pools, std::move(members)), 1);
    }
    return *made;
  }
  /// As if it had failed too often.
  void open(size_t index) {
    endpoints[index]->breaker.trip(now, *config.breaker);
    Endpoint::note_change();
  }

  net::EventLoop loop;
  telemetry::Registry registry;
  telemetry::Shard& shard = registry.add_shard();
  Pools pools{loop, shard.gauge(telemetry::Family::BackendConnectionsActive)};
  config::Cluster config;
  std::vector<std::shared_ptr<Endpoint>> endpoints;
  std::shared_ptr<const EndpointSettings> settings = std::make_shared<const EndpointSettings>();
  std::unique_ptr<Cluster> made;
  TimePoint now{1h};
};

}  // namespace

TEST_CASE("breakers hold until the first one lets something through") {
  Rig rig(3);
  CHECK(rig.cluster().breakers_hold_for(rig.now) == Duration::zero());
  rig.open(0);
  CHECK(rig.cluster().breakers_hold_for(rig.now) == Duration(60s));
  rig.now += 20s;
  rig.open(1);
  CHECK(rig.cluster().breakers_hold_for(rig.now) == Duration(40s));
  rig.now += 40s - 1us;
  CHECK(rig.cluster().breakers_hold_for(rig.now) == Duration(1us));
  rig.now += 1us;
  REQUIRE(rig.endpoints[0]->breaker.admit(rig.now));
  CHECK(rig.cluster().breakers_hold_for(rig.now) == Duration(1s));
}

TEST_CASE(
    "in panic the breakers of the unhealthy hold as well, otherwise they are not waited for") {
  for (const bool panics : {false, true}) {
    CAPTURE(panics);
    Rig rig(2);
    rig.config.panic_threshold = panics ? 0.5 : 0;
    for (size_t i = 0; i < 2; ++i) {
      rig.endpoints[i]->set_healthy(false, rig.now);
      rig.open(i);
    }
    CHECK(rig.cluster().admit(nullptr, {{}, rig.now}).member == nullptr);
    CHECK(rig.cluster().breakers_hold_for(rig.now) == Duration(panics ? 60s : 0s));
  }
}

TEST_CASE("a cluster is healthy while some endpoint is available") {
  Rig rig(2);
  CHECK(rig.cluster().healthy(rig.now));
  rig.endpoints[0]->set_healthy(false, rig.now);
  CHECK(rig.cluster().healthy(rig.now));
  rig.open(1);
  CHECK_FALSE(rig.cluster().healthy(rig.now));
  rig.now += 60s;
  CHECK(rig.cluster().healthy(rig.now));
  REQUIRE(rig.endpoints[1]->breaker.admit(rig.now));
  CHECK_FALSE(rig.cluster().healthy(rig.now + 1ms));
  rig.endpoints[1]->set_draining(true, rig.now);
  rig.endpoints[0]->set_healthy(true, rig.now);
  CHECK(rig.cluster().healthy(rig.now));
}

TEST_CASE("no more than max_ejected are ejected") {
  Rig rig(10);
  rig.config.breaker->max_failures = 1;
  rig.config.breaker->max_ejected = 0.3;
  for (const auto& endpoint : rig.endpoints) {
    const auto ticket = endpoint->breaker.admit(rig.now);
    rig.cluster().settle(*endpoint, *ticket, {0, ErrorCode::OriginReset}, rig.now);
  }
  size_t open = 0;
  for (const auto& endpoint : rig.endpoints) {
    open += endpoint->breaker.state() == Breaker::State::Open ? 1 : 0;
  }
  CHECK(open == 3);
}

TEST_CASE("what the proxy itself lacks opens no breaker") {
  Rig rig(1);
  for (int i = 0; i < 100; ++i) {
    for (const ErrorCode code : {ErrorCode::ProxyExhausted, ErrorCode::UpgradeUnsupported}) {
      const auto ticket = rig.endpoints[0]->breaker.admit(rig.now);
      rig.cluster().settle(*rig.endpoints[0], *ticket, {0, code}, rig.now);
    }
  }
  CHECK(rig.endpoints[0]->breaker.state() == Breaker::State::Closed);
}
