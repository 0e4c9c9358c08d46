// SPDX-License-Identifier: Apache-2.0
#include "proxy/deadline.h"

#include <doctest/doctest.h>

#include <string>

using namespace tidegate;
using namespace tidegate::proxy;
using namespace std::chrono_literals;

TEST_CASE("grpc-timeout is read in all its units") {
  CHECK(parse_grpc_timeout("1H") == Duration(1h));
  CHECK(parse_grpc_timeout("2M") == Duration(2min));
  CHECK(parse_grpc_timeout("30S") == Duration(30s));
  CHECK(parse_grpc_timeout("99999999m") == Duration(99'999'999ms));
  CHECK(parse_grpc_timeout("5u") == Duration(5us));
  CHECK(parse_grpc_timeout("0n") == Duration(0ns));
}

TEST_CASE("a grpc-timeout beyond a year is a year, so that no moment in time overflows") {
  for (const char* text : {"8761H", "2562047H", "2562048H", "99999999H", "99999999M", "31536001S"}) {
    CAPTURE(text);
    CHECK(parse_grpc_timeout(text) == Duration(24h * 365));
  }
  CHECK(parse_grpc_timeout("8759H") == Duration(8759h));
}

TEST_CASE("what is no grpc-timeout is nothing") {
  for (const char* text : {"", "S", "1", "1s", "123456789S", "-1S", " 1S", "1 S", "1SS", "x"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_grpc_timeout(text).has_value());
  }
}

TEST_CASE("grpc-timeout is written as finely as eight digits allow, never for longer") {
  ArenaBlocks blocks;
  Arena arena(blocks);
  CHECK(format_grpc_timeout(-1s, arena) == "1n");
  CHECK(format_grpc_timeout(99'999'999ns, arena) == "99999999n");
  CHECK(format_grpc_timeout(1s, arena) == "1000000u");
  CHECK(format_grpc_timeout(1h, arena) == "3600000m");
  for (Duration time = 1ns; time < 24h * 300; time = time * 7 / 3 + 1ns) {
    const auto back = parse_grpc_timeout(format_grpc_timeout(time, arena));
    REQUIRE(back.has_value());
    CHECK(*back <= time);
    CHECK(*back >= time - time / 99'999 - 1ns);
  }
}
