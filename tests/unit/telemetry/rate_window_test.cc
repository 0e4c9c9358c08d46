// SPDX-License-Identifier: Apache-2.0
#include "telemetry/rate_window.h"

#include <doctest/doctest.h>

#include "telemetry/metrics.h"

using namespace tidegate;
using namespace tidegate::telemetry;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  Registry registry;
  WorkerMetrics worker{registry.add_shard()};
  TimePoint now{1h};
  RateWindow window{registry, now};

  void second(int good, int failed) {
    for (int i = 0; i < good; ++i) worker.response(404);
    for (int i = 0; i < failed; ++i) worker.response(500);
    now += 1s;
    window.sample(now);
  }
};

}  // namespace

TEST_CASE("without a response the success rate is one and the request rate zero") {
  Fixture fixture;
  CHECK(fixture.window.success_rate() == 1);
  fixture.second(0, 0);
  fixture.second(0, 0);
  CHECK(fixture.window.success_rate() == 1);
  CHECK(fixture.window.requests_per_second() == 0);
}

TEST_CASE("a failure shows in the success rate at once") {
  Fixture fixture;
  fixture.worker.response(502);
  CHECK(fixture.window.success_rate() == 0);
  fixture.second(3, 0);
  fixture.worker.response(200);
  CHECK(fixture.window.success_rate() == doctest::Approx(0.8));
}

TEST_CASE("rates cover the time since the start while that is less than a minute") {
  Fixture fixture;
  fixture.second(0, 0);
  fixture.second(9, 1);
  fixture.second(19, 1);
  CHECK(fixture.window.requests_per_second() == doctest::Approx(10));
  CHECK(fixture.window.success_rate() == doctest::Approx(28.0 / 30));
}

TEST_CASE("what is older than a minute no longer counts") {
  Fixture fixture;
  fixture.second(0, 0);
  fixture.second(0, 1000);
  for (int i = 0; i < 59; ++i) fixture.second(10, 0);
  CHECK(fixture.window.success_rate() == doctest::Approx(590.0 / 1590));
  fixture.second(10, 0);
  CHECK(fixture.window.success_rate() == 1);
  CHECK(fixture.window.requests_per_second() == doctest::Approx(10));
}
