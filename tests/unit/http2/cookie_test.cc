// SPDX-License-Identifier: Apache-2.0
// Cookies in crumbs (RFC 9113 8.2.3).
#include <doctest/doctest.h>

#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

/// A GET with `others` further fields around `crumbs` cookies.
std::string request(uint32_t stream, size_t crumbs, size_t others = 0,
                    const std::string& value = "a=1") {
  FieldTexts fields = get_fields();
  for (size_t i = 0; i < others / 2; ++i) fields.emplace_back("x-" + std::to_string(i), "1");
  for (size_t i = 0; i < crumbs; ++i) fields.emplace_back("cookie", value);
  for (size_t i = others / 2; i < others; ++i) fields.emplace_back("x-" + std::to_string(i), "1");
  return headers(stream, fields, kEndStream);
}

TEST_CASE("H3: cookies are joined, in order, where the first one stood") {
  ServerRecord server;
  server.begin();
  FieldTexts fields = get_fields();
  fields.insert(fields.end(),
                {{"x", "1"}, {"cookie", "a=1"}, {"y", "2"}, {"cookie", ""}, {"cookie", "b=2"}});
  server.feed(headers(1, fields, kEndStream));
  CHECK(server.call(1).events().find("x: 1, cookie: a=1; ; b=2, y: 2") != std::string::npos);
}

TEST_CASE("H3: however many they are, they count as one field") {
  ServerRecord server;
  server.begin();
  // Beside :authority's Host, and with the cookie, 100 in all.
  for (const size_t crumbs : {120, 1000}) {
    const auto stream = static_cast<uint32_t>(2 * crumbs + 1);
    server.feed(request(stream, crumbs, 98));
    REQUIRE(server.has(stream));
    const Headers& fields = server.call(stream).head.headers;
    CHECK(fields.count(HeaderId::Cookie) == 1);
    CHECK(fields.get(HeaderId::Cookie).size() == 5 * crumbs - 2);
    CHECK(server.call(stream).events().find("error") == std::string::npos);
  }
}

TEST_CASE("H3: the limits hold for all else, and for the bytes of cookies") {
  Limits limits;
  limits.header_bytes = 10'000;
  for (const std::string& refused :
       {request(1, 120, 120), request(1, 2, 106), request(1, 1, 101),
        request(1, 10, 0, std::string(1000, 'x')), request(1, 300, 0, "")}) {
    ServerRecord server({}, limits);
    answer_all(server);
    server.begin();
    server.feed(refused);
    CHECK(server.sent().starts_with("HEADERS 1 :status=431"));
  }
  ServerRecord server;
  answer_all(server);
  server.begin();
  server.feed(request(1, 3, 0, "a=\x01"));
  CHECK(server.sent().starts_with("HEADERS 1 :status=400"));
}

}  // namespace
}  // namespace tidegate::http::http2
