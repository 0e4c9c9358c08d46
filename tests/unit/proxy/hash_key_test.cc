// SPDX-License-Identifier: Apache-2.0
#include "proxy/hash_key.h"

#include <doctest/doctest.h>

using namespace tidegate;
using Kind = config::HashOn::Kind;

TEST_CASE("hash_on finds what it names in a request, or nothing") {
  ArenaBlocks blocks;
  Arena arena(blocks);
  http::RequestHead request(arena);
  request.path = "/a/b";
  request.query = "x=1&user=7&user=8&empty=&flag";
  request.headers.add("x-tenant", "acme");
  request.headers.add("cookie", "sid2=no; sid=abc; sid=def");
  request.headers.add("cookie", "other=\"q\"");
  const auto key = [&](Kind kind, const char* name = "") {
    return proxy::hash_key({kind, name}, request, "192.0.2.7");
  };
  CHECK(key(Kind::ClientIp) == "192.0.2.7");
  CHECK(key(Kind::Path) == "/a/b");
  CHECK(key(Kind::Header, "x-tenant") == "acme");
  CHECK(key(Kind::Header, "x-other").empty());
  CHECK(key(Kind::Cookie, "sid") == "abc");
  CHECK(key(Kind::Cookie, "other") == "\"q\"");
  CHECK(key(Kind::Cookie, "si").empty());
  CHECK(key(Kind::Query, "user") == "7");
  CHECK(key(Kind::Query, "use").empty());
  CHECK(key(Kind::Query, "empty").empty());
  CHECK(key(Kind::Query, "flag").empty());
}
