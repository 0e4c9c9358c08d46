// SPDX-License-Identifier: Apache-2.0
#include "http/host.h"

#include <doctest/doctest.h>

#include <string>

#include "unit/http/fixture.h"

namespace tidegate::http {

TEST_CASE_FIXTURE(ArenaFixture, "an authority is split into host and port") {
  struct Case {
    std::string_view authority;
    std::string_view host;
    int port;  // -1: none
  };
  const Case cases[] = {
      {"", "", -1},
      {"example.com", "example.com", -1},
      {"example.com:8080", "example.com", 8080},
      {"example.com:", "example.com", -1},
      {"example.com:0", "example.com", 0},
      {"example.com:65535", "example.com", 65535},
      {"EXAMPLE.com:080", "example.com", 80},
      {"example.com.", "example.com", -1},
      {"Example.COM.:1", "example.com", 1},
      {"a_b.c-d.e~f", "a_b.c-d.e~f", -1},
      {"127.0.0.1:80", "127.0.0.1", 80},
      {"[::1]", "[::1]", -1},
      {"[::1]:8080", "[::1]", 8080},
      {"[2001:DB8:0:0::1]", "[2001:db8::1]", -1},
      {"[::ffff:10.0.0.1]:1", "10.0.0.1", 1},
  };
  for (const Case& c : cases) {
    CAPTURE(c.authority);
    const auto result = split_authority(c.authority, arena);
    REQUIRE(result.has_value());
    CHECK(result->host == c.host);
    CHECK(result->port.has_value() == (c.port >= 0));
    if (result->port) CHECK(*result->port == c.port);
  }
}

TEST_CASE_FIXTURE(ArenaFixture, "a host that is lower case already is not copied") {
  constexpr std::string_view kAuthority = "example.com:80";
  CHECK(split_authority(kAuthority, arena)->host.data() == kAuthority.data());
}

TEST_CASE_FIXTURE(ArenaFixture, "an authority that is none is refused") {
  using namespace std::string_view_literals;
  for (std::string_view authority : {":80"sv,
                                     "a:65536"sv,
                                     "a:-1"sv,
                                     "a:+1"sv,
                                     "a: 1"sv,
                                     "a:8x"sv,
                                     "a:1:2"sv,
                                     "user@a"sv,
                                     "user:pw@a"sv,
                                     "a b"sv,
                                     "a/b"sv,
                                     "a\\b"sv,
                                     "a?b"sv,
                                     "a#b"sv,
                                     "a%41"sv,
                                     "a,b"sv,
                                     "a\0b"sv,
                                     "\xc3\xa4.de"sv,
                                     "."sv,
                                     ".a"sv,
                                     "a..b"sv,
                                     "a.."sv,
                                     "*"sv,
                                     "["sv,
                                     "[]"sv,
                                     "[::1"sv,
                                     "::1"sv,
                                     "[::1]x"sv,
                                     "[::g]"sv,
                                     "[1.2.3.4]"sv,
                                     "[fe80::1%eth0]"sv,
                                     "a:99999999999999999999"sv}) {
    CAPTURE(authority);
    const auto result = split_authority(authority, arena);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error() == ErrorCode::BadRequest);
  }
}

TEST_CASE_FIXTURE(ArenaFixture, "a host has at most 255 bytes") {
  CHECK(split_authority(std::string(255, 'a'), arena).has_value());
  CHECK_FALSE(split_authority(std::string(256, 'a'), arena).has_value());
}

}  // namespace tidegate::http
