// SPDX-License-Identifier: Apache-2.0
#include "config/values.h"

#include <doctest/doctest.h>

#include "config/expand.h"
#include "unit/config/environment_table.h"

using namespace tidegate::config;
using namespace std::chrono_literals;

TEST_CASE("durations are written in the largest unit that is exact, and read back") {
  CHECK(parse_duration("250ms") == tidegate::Duration(250ms));
  CHECK(parse_duration("0") == tidegate::Duration(0s));
  for (const char* text : {"0s", "1ms", "1500ms", "90s", "1m", "5m", "1h", "24h"}) {
    CHECK(format_duration(parse_duration(text).value()) == text);
  }
  CHECK(format_duration(60s) == "1m");
}

TEST_CASE("what is not a duration is refused") {
  for (const char* text :
       {"", "s", "10", "1 s", "-1s", "1.5s", "1d", "1S", "9223372036854775807h"}) {
    CHECK_FALSE(parse_duration(text).has_value());
  }
}

TEST_CASE("sizes are bytes or powers of 1024") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("64KiB") == 65536);
  for (const char* text : {"0", "1", "1000", "64KiB", "10MiB", "3GiB"}) {
    CHECK(format_size(parse_size(text).value()) == text);
  }
  for (const char* text : {"", "KiB", "1K", "1KB", "1kib", "-1", "1.5MiB", "99999999999999GiB"}) {
    CHECK_FALSE(parse_size(text).has_value());
  }
}

TEST_CASE("shares are whole percentages up to 100") {
  CHECK(parse_share("20%") == 0.2);
  CHECK(parse_share("100%") == 1.0);
  for (const char* text : {"20", "101%", "-1%", "%", "1.5%"}) {
    CHECK_FALSE(parse_share(text).has_value());
  }
}

TEST_CASE("O27: the dot that a full name may end with is not compared and not sent in TLS") {
  for (const char* name : {"localhost", "localhost.", "LOCALHOST."}) {
    CAPTURE(name);
    CHECK(parse_tls_name(name) == "localhost");
    CHECK(parse_host(name, true) == "localhost");
  }
  CHECK(parse_tls_name("10.0.0.1") == "10.0.0.1");
  CHECK(parse_host("*.Example.com.", true) == "*.example.com");
  // `host` is text for the origin, which gets what the config says.
  CHECK(parse_host("Api.example.com.", false) == "api.example.com.");
  for (const char* name : {".", "..", "localhost..", ".localhost", "a..b", ""}) {
    CAPTURE(name);
    CHECK_FALSE(parse_tls_name(name).has_value());
    CHECK_FALSE(parse_host(name, true).has_value());
    CHECK_FALSE(parse_host(name, false).has_value());
  }
  CHECK_FALSE(parse_host("*.", true).has_value());
}

TEST_CASE("variables expand once, with defaults and an escape") {
  auto environment = environment_of({{"A", "${B}"}, {"B", "x"}, {"EMPTY", ""}});
  CHECK(expand("-${A}-${B}-", environment) == "-${B}-x-");
  CHECK(expand("${EMPTY}|${EMPTY:-d}|${NONE:-}|${NONE:-a:b}", environment) == "|d||a:b");
  CHECK(expand("$$ $$${B} $B $", environment) == "$ $x $B $");
  CHECK_FALSE(expand("${NONE}", environment).has_value());
  CHECK_FALSE(expand("${B", environment).has_value());
  CHECK_FALSE(expand("${1B}", environment).has_value());
}

TEST_CASE("shielding keeps length and lines, and is undone") {
  for (std::string text :
       {"{ a: ${A:-[x, y]} }", "${A", "${A\n}", "[::1]:80", "[a, b]: 1", "${A:-}"}) {
    CHECK(shield(text).size() == text.size());
    CHECK(unshield(shield(text)) == text);
  }
  CHECK(shield("[1, 2]: {a}") == "[1, 2]: {a}");
  CHECK(shield("${A:-}").find_first_of("{}:") == std::string::npos);
}

TEST_CASE("the nearest name is suggested, a far one is not") {
  CHECK(did_you_mean("clutser", {"cluster", "host"}) == ", did you mean 'cluster'?");
  CHECK(did_you_mean("x", {"cluster", "host"}) == "");
  CHECK(did_you_mean("", {"a"}) == "");
}
