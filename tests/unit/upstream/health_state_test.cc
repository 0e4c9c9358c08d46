// SPDX-License-Identifier: Apache-2.0
#include "upstream/health_state.h"

#include <doctest/doctest.h>

using namespace tidegate;

namespace {

struct Rig {
  config::HealthCheck settings;
  upstream::HealthState state{true};
  Rig() {
    settings.healthy_after = 2;
    settings.unhealthy_after = 3;
  }
  bool record(bool passed) { return state.record(passed, settings); }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "the first check decides at once") {
  SUBCASE("it fails") {
    CHECK(record(false));
    CHECK_FALSE(state.healthy());
  }
  SUBCASE("it passes: nothing changes") {
    CHECK_FALSE(record(true));
    CHECK(state.healthy());
    CHECK_FALSE(record(false));
    CHECK(state.healthy());
  }
}

TEST_CASE_FIXTURE(Rig, "as many in a row as the settings ask for, and no fewer") {
  record(true);
  for (const bool passed : {false, false, true, false, false}) CHECK_FALSE(record(passed));
  CHECK(state.healthy());
  CHECK(record(false));
  CHECK_FALSE(state.healthy());
  CHECK_FALSE(record(false));
  for (const bool passed : {true, false, true}) CHECK_FALSE(record(passed));
  CHECK_FALSE(state.healthy());
  CHECK(record(true));
  CHECK(state.healthy());
}

TEST_CASE("an endpoint known to be unhealthy is healthy when the first check passes") {
  const config::HealthCheck settings;
  upstream::HealthState state(false);
  CHECK(state.record(true, settings));
  CHECK(state.healthy());
}
