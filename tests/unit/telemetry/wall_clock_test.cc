// SPDX-License-Identifier: Apache-2.0
#include "telemetry/wall_clock.h"

#include <doctest/doctest.h>

using namespace tidegate;
using namespace tidegate::telemetry;
using namespace std::chrono_literals;

TEST_CASE("timestamps are RFC 3339 with milliseconds") {
  TimestampText text;
  CHECK(text.at(0) == "1970-01-01T00:00:00.000Z");
  CHECK(text.at(1) == "1970-01-01T00:00:00.001Z");
  CHECK(text.at(1'709'210'096'789) == "2024-02-29T12:34:56.789Z");
  CHECK(text.at(1'709'210'096'012) == "2024-02-29T12:34:56.012Z");
  CHECK(text.at(253'402'300'799'999) == "9999-12-31T23:59:59.999Z");
  CHECK(text.at(-1) == "1969-12-31T23:59:59.999Z");
}

TEST_CASE("wall-clock time follows the loop's clock") {
  WallClock wall;
  const TimePoint now = std::chrono::steady_clock::now();
  const int64_t first = wall.unix_ms(now);
  CHECK(wall.unix_ms(now + 250ms) - first >= 249);
  CHECK(wall.unix_ms(now + 250ms) - first <= 251);
  const int64_t system = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
  CHECK(system - first < 60'000);
  CHECK(first - system < 1000);
}
