// SPDX-License-Identifier: Apache-2.0
// What a pool learns of the protocols that its origin speaks, and for how long it believes that.
#include <doctest/doctest.h>

#include "telemetry/registry.h"
#include "upstream/pool.h"

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

namespace {

/// A pool that makes no connection, in a loop whose clock is advanced by hand.
struct Rig {
  Rig() {
    loop.now();  // read once; it stands still from here on
    endpoint->address = "10.0.0.1:443";
    settings.tls = net::TlsClientContext::make({}).value();
  }
  Pool& pool() {
    if (made == nullptr) {
      made = std::make_unique<Pool>(
          loop, endpoint, settings,
          Pool::Cells{telemetry::EndpointMetrics(shard, "users", endpoint->address),
                      shard.gauge(telemetry::Family::BackendConnectionsActive)});
    }
    return *made;
  }
  void pass(Duration time) { loop.clock().advance(time); }

  net::EventLoop loop;
  telemetry::Registry registry;
  telemetry::Shard& shard = registry.add_shard();
  std::shared_ptr<Endpoint> endpoint = std::make_shared<Endpoint>();
  Pool::Settings settings;
  std::unique_ptr<Pool> made;
};

}  // namespace

TEST_CASE("H9: that an origin wants HTTP/1.1 is believed for five minutes") {
  Rig rig;
  CHECK_FALSE(rig.pool().http1_learnt());
  REQUIRE(rig.pool().learn_http1());
  rig.pass(5min - 1ns);
  CHECK(rig.pool().http1_learnt());
  // Hearing it again from a connection of before changes nothing.
  CHECK(rig.pool().learn_http1());
  rig.pass(1ns);
  CHECK_FALSE(rig.pool().http1_learnt());
  // It may be learnt again.
  const uint32_t epoch = rig.pool().tls_epoch();
  REQUIRE(rig.pool().learn_http1());
  CHECK(rig.pool().http1_learnt());
  CHECK(rig.pool().tls_epoch() == epoch + 1);
}

TEST_CASE("H9: it is forgotten when the origin does not agree on HTTP/1.1") {
  Rig rig;
  REQUIRE(rig.pool().learn_http1());
  rig.pool().forget_http1();
  CHECK_FALSE(rig.pool().http1_learnt());
}

TEST_CASE("H9: it is forgotten when the cluster's protocol changes") {
  Rig rig;
  REQUIRE(rig.pool().learn_http1());
  rig.pool().configure(rig.settings);
  CHECK(rig.pool().http1_learnt());
  rig.settings.protocol = Pool::Protocol::Http2;
  rig.pool().configure(rig.settings);
  CHECK_FALSE(rig.pool().http1_learnt());
  CHECK_FALSE(rig.pool().learn_http1());  // which now allows no other
}

TEST_CASE("that an origin does not agree on HTTP/1.1 for upgrades is believed for a minute") {
  Rig rig;
  REQUIRE(rig.pool().learn_upgrades_apart());
  rig.pool().note_no_upgrades();
  CHECK_FALSE(rig.pool().learn_upgrades_apart());
  rig.pass(1min - 1ns);
  CHECK_FALSE(rig.pool().may_ask_by_http1());
  rig.pass(1ns);
  CHECK(rig.pool().learn_upgrades_apart());
}
