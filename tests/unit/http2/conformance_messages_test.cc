// SPDX-License-Identifier: Apache-2.0
// RFC 9113 8: what a request must look like, and RFC 8441.
#include <doctest/doctest.h>

#include "unit/http2/conformance.h"
#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

std::string request(const FieldTexts& fields) {
  return headers(1, fields, kEndStream);
}

/// A GET with one pseudo-header changed, or left out when `value` is null.
std::string with(const std::string& name, const char* value) {
  FieldTexts fields;
  for (const auto& [known, text] : get_fields()) {
    if (known != name) fields.emplace_back(known, text);
    if (known == name && value != nullptr) fields.emplace_back(name, value);
  }
  return request(fields);
}

TEST_CASE("malformed requests are answered with 400 and reset (RFC 9113 8)") {
  check_cases({
      {"8.1", "trailers that end nothing", headers(1, post_fields()) + headers(1, {{"x", "y"}}),
       malformed()},
      {"8.1", "pseudo-headers in trailers",
       headers(1, post_fields()) + headers(1, {{":path", "/"}}, kEndStream), malformed()},
      {"RFC 9110 6.5.1", "content-length in trailers",
       headers(1, post_fields()) + headers(1, {{"content-length", "0"}}, kEndStream), malformed()},
      {"8.1.1", "content-length without a body", request(get_fields({{"content-length", "1"}})),
       malformed()},
      {"8.1.1", "DATA shorter than content-length",
       headers(1, post_fields({{"content-length", "3"}})) + data(1, "ab", true), malformed()},
      {"8.1.1", "DATA longer than content-length",
       headers(1, post_fields({{"content-length", "3"}})) + data(1, "abcd", true), malformed()},
      {"8.1.1", "DATA longer than content-length, in two frames",
       headers(1, post_fields({{"content-length", "3"}})) + data(1, "abc") + data(1, "d", true),
       malformed()},
      {"8.1.1", "trailers where content-length is not reached",
       headers(1, post_fields({{"content-length", "3"}})) + data(1, "ab") +
           headers(1, {{"x", "y"}}, kEndStream),
       malformed()},
      {"8.1.1", "two lengths",
       request(get_fields({{"content-length", "0"}, {"content-length", "0"}})), malformed()},
      {"8.1.1", "a list of lengths", request(get_fields({{"content-length", "0, 0"}})),
       malformed()},
      {"8.1.1", "a signed length", request(get_fields({{"content-length", "+0"}})), malformed()},
      {"8.1.1", "an empty length", request(get_fields({{"content-length", ""}})), malformed()},
      {"8.2.1", "an upper-case letter in a name", request(get_fields({{"X-Own", "1"}})),
       malformed()},
      {"8.2.1", "an empty name", request(get_fields({{"", "1"}})), malformed()},
      {"8.2.1", "a space in a name", request(get_fields({{"x own", "1"}})), malformed()},
      {"8.2.1", "a colon in a name", request(get_fields({{"x:own", "1"}})), malformed()},
      {"8.2.1", "a control byte in a name", request(get_fields({{"x\x01", "1"}})), malformed()},
      {"8.2.1", "a byte over 127 in a name", request(get_fields({{"x\xe4", "1"}})), malformed()},
      {"8.2.1", "a line feed in a value", request(get_fields({{"x", "a\nb"}})), malformed()},
      {"8.2.1", "a carriage return in a value", request(get_fields({{"x", "a\rb"}})), malformed()},
      {"8.2.1", "NUL in a value", request(get_fields({{"x", std::string("a\0b", 3)}})),
       malformed()},
      {"8.2.1", "a space before a value", request(get_fields({{"x", " a"}})), malformed()},
      {"8.2.1", "a tab behind a value", request(get_fields({{"x", "a\t"}})), malformed()},
      {"RFC 9110 5.5", "a control byte in a value", request(get_fields({{"x", "a\x7f"}})),
       malformed()},
      {"8.2.2", "connection", request(get_fields({{"connection", "close"}})), malformed()},
      {"8.2.2", "keep-alive", request(get_fields({{"keep-alive", "1"}})), malformed()},
      {"8.2.2", "proxy-connection", request(get_fields({{"proxy-connection", "close"}})),
       malformed()},
      {"8.2.2", "transfer-encoding", request(get_fields({{"transfer-encoding", "chunked"}})),
       malformed()},
      {"8.2.2", "upgrade", request(get_fields({{"upgrade", "websocket"}})), malformed()},
      {"8.2.2", "te of anything but trailers", request(get_fields({{"te", "trailers, gzip"}})),
       malformed()},
  });
}

TEST_CASE("pseudo-headers that are wrong make a request malformed (RFC 9113 8.3)") {
  FieldTexts behind{{"x", "y"}};
  for (const auto& field : get_fields()) behind.push_back(field);
  check_cases({
      {"8.3", "behind a field", request(behind), malformed()},
      {"8.3", "one behind a field", request(get_fields({{"x", "y"}, {":method", "GET"}})),
       malformed()},
      {"8.3", "one that nobody knows", request(get_fields({{":own", "y"}})), malformed()},
      {"8.3", "one of responses", request(get_fields({{":status", "200"}})), malformed()},
      {"8.3.1", ":method twice", request(get_fields({{":method", "GET"}})), malformed()},
      {"8.3.1", ":scheme twice", request(get_fields({{":scheme", "http"}})), malformed()},
      {"8.3.1", ":authority twice", request(get_fields({{":authority", "example.com"}})),
       malformed()},
      {"8.3.1", ":path twice", request(get_fields({{":path", "/"}})), malformed()},
      {"8.3.1", "no :method", with(":method", nullptr), malformed()},
      {"8.3.1", "no :scheme", with(":scheme", nullptr), malformed()},
      {"8.3.1", "no :path", with(":path", nullptr), malformed()},
      {"8.3.1", "an empty :path", with(":path", ""), malformed()},
      {"8.3.1", "an empty :method", with(":method", ""), malformed()},
      {"8.3.1", "an empty :authority", with(":authority", ""), malformed()},
      {"8.3.1", "a :path without a slash", with(":path", "a"), malformed()},
      {"8.3.1", "an absolute :path", with(":path", "http://a/"), malformed()},
      {"8.3.1", "an asterisk for GET", with(":path", "*"), malformed()},
      {"8.3.1", "a space in :path", with(":path", "/a b"), malformed()},
      {"8.3.1", "a line feed in :path", with(":path", "/a\nb"), malformed()},
      {"8.3.1", "a fragment in :path", with(":path", "/a#b"), malformed()},
      {"8.3.1", "a byte over 127 in :path", with(":path", "/\xe4"), malformed()},
      {"8.3.1", "a space in :method", with(":method", "GET /x"), malformed()},
      {"8.3.1", "another scheme", with(":scheme", "ftp"), malformed()},
      {"8.3.1", "a space in :scheme", with(":scheme", "http "), malformed()},
      {"8.3.1", "user information in :authority", with(":authority", "me@example.com"),
       malformed()},
      {"8.3.1", "a space in :authority", with(":authority", "a b"), malformed()},
      {"8.3.1", "a slash in :authority", with(":authority", "a/b"), malformed()},
      {"8.3.1", "no authority at all", with(":authority", nullptr), malformed()},
      {"8.3.1", "Host that says something else", request(get_fields({{"host", "other.com"}})),
       malformed()},
      {"8.3.1", "two Hosts",
       request(get_fields({{"host", "example.com"}, {"host", "example.com"}})), malformed()},
      {"8.5", "CONNECT with :path",
       request({{":method", "CONNECT"}, {":authority", "a:443"}, {":path", "/"}}), malformed()},
      {"8.5", "CONNECT with :scheme",
       request({{":method", "CONNECT"}, {":authority", "a:443"}, {":scheme", "https"}}),
       malformed()},
      {"8.5", "CONNECT without :authority", request({{":method", "CONNECT"}}), malformed()},
      {"8.5", "CONNECT without a port", request({{":method", "CONNECT"}, {":authority", "a"}}),
       malformed()},
      {"RFC 8441 4", ":protocol with GET", request(get_fields({{":protocol", "websocket"}})),
       malformed()},
      {"RFC 8441 4", ":protocol that would tunnel HTTP past the proxy",
       request({{":method", "CONNECT"},
                {":protocol", "h2c"},
                {":scheme", "http"},
                {":authority", "a"},
                {":path", "/"}}),
       malformed()},
      {"RFC 8441 4", ":protocol without :path",
       request({{":method", "CONNECT"},
                {":protocol", "websocket"},
                {":scheme", "http"},
                {":authority", "a"}}),
       malformed()},
      {"RFC 8441 4", ":protocol without :authority",
       request({{":method", "CONNECT"},
                {":protocol", "websocket"},
                {":scheme", "http"},
                {":path", "/"},
                {"host", "a"}}),
       malformed()},
      {"RFC 8441 4", ":protocol that is no token",
       request({{":method", "CONNECT"},
                {":protocol", "web socket"},
                {":scheme", "http"},
                {":authority", "a"},
                {":path", "/"}}),
       malformed()},
  });
}

struct Read {
  const char* what;
  std::string bytes;
  std::string events;
};

TEST_CASE("well-formed requests reach the exchange in neutral form") {
  const std::vector<Read> reads{
      {"a query", with(":path", "/a?b=c?d"),
       "GET /a?b=c?d by http from example.com {host: example.com} end\n"},
      {"Host instead of :authority",
       request({{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {"host", "a"}}),
       "GET / by https from a {host: a} end\n"},
      {"Host in other letters", request(get_fields({{"host", "EXAMPLE.com"}})),
       "GET / by http from example.com {host: example.com} end\n"},
      {"a scheme in capitals", with(":scheme", "HTTPS"),
       "GET / by https from example.com {host: example.com} end\n"},
      {"OPTIONS for the whole server",
       request({{":method", "OPTIONS"}, {":scheme", "http"}, {":authority", "a"}, {":path", "*"}}),
       "OPTIONS * by http from a {host: a} end\n"},
      {"cookies in crumbs",
       request(get_fields({{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}, {"cookie", "c"}})),
       "GET / by http from example.com {cookie: a=1; b=2; c, x: y, host: example.com} end\n"},
      {"names with underscores are dropped", request(get_fields({{"x_own", "1"}, {"a", ""}})),
       "GET / by http from example.com {a: , host: example.com} end\n"},
      {"te", request(get_fields({{"te", "trailers"}})),
       "GET / by http from example.com {te: trailers, host: example.com} end\n"},
      {"content-length zero", request(get_fields({{"content-length", "0"}})),
       "GET / by http from example.com {content-length: 0, host: example.com} end\n"},
      {"a body of known length",
       headers(1, post_fields({{"content-length", "5"}})) + data(1, "he") + data(1, "llo", true),
       "POST / by http from example.com {content-length: 5, host: example.com} sized 5\n"
       "body hello\nend\n"},
      {"a body that has a length of zero and is not over",
       headers(1, post_fields({{"content-length", "0"}})) + data(1, "", true),
       "POST / by http from example.com {content-length: 0, host: example.com} sized 0\nend\n"},
      {"a body and trailers",
       headers(1, post_fields()) + data(1, "hello") +
           headers(1, {{"x-sum", "1"}, {"authorization", "dropped"}}, kEndStream),
       "POST / by http from example.com {host: example.com} streamed\nbody hello\n"
       "end {x-sum: 1}\n"},
      {"trailers without a body",
       headers(1, post_fields()) + headers(1, {{"x-sum", "1"}}, kEndStream),
       "POST / by http from example.com {host: example.com} streamed\nend {x-sum: 1}\n"},
      {"an expectation", headers(1, post_fields({{"expect", "100-Continue"}})) + data(1, "x", true),
       "POST / by http from example.com {expect: 100-Continue, host: example.com} streamed "
       "expects continue\nbody x\nend\n"},
      {"another expectation", headers(1, post_fields({{"expect", "more"}}), kEndStream),
       "error expectation_failed\n"},
      {"CONNECT", request({{":method", "CONNECT"}, {":authority", "a:443"}}),
       "CONNECT / from a:443 {host: a:443} end\n"},
      {"extended CONNECT",
       headers(1, {{":method", "CONNECT"},
                   {":protocol", "websocket"},
                   {":scheme", "https"},
                   {":authority", "a"},
                   {":path", "/chat"},
                   {"sec-websocket-version", "13"}}),
       "GET /chat by https from a {sec-websocket-version: 13, host: a} upgrade to websocket end\n"},
  };
  for (const Read& read : reads) {
    CAPTURE(std::string(read.what));
    ServerRecord server;
    server.begin();
    server.feed(read.bytes);
    REQUIRE(server.calls() == 1);
    CHECK(server.call(1).events() == read.events);
    ServerRecord split;
    split.begin();
    split.feed_bytes(read.bytes);
    CHECK(split.call(1).events() == read.events);
  }
}

TEST_CASE("limits of heads are answered (RFC 9110 15.5)") {
  Limits limits;
  limits.request_line = 64;
  limits.header_bytes = 200;
  limits.header_count = 3;
  const auto answer = [&](const std::string& bytes) {
    ServerRecord server({}, limits);
    answer_all(server);
    server.begin();
    server.feed(bytes);
    server.feed(get(3));
    return server.sent();
  };
  const std::string fine = "HEADERS 3 :status=200 content-length=0 END\n";
  const std::string refused = " content-length=0 END\nRST_STREAM 1 PROTOCOL_ERROR\n" + fine;
  CHECK(answer(with(":path", ("/" + std::string(70, 'a')).c_str())) ==
        "HEADERS 1 :status=414" + refused);
  CHECK(answer(request(get_fields({{"x", std::string(200, 'a')}}))) ==
        "HEADERS 1 :status=431" + refused);
  CHECK(answer(request(get_fields({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}}))) ==
        "HEADERS 1 :status=431" + refused);
  CHECK(answer(request(get_fields({{"a", ""}, {"b", ""}}))) ==
        "HEADERS 1 :status=200 content-length=0 END\n" + fine);
  CHECK(
      answer(headers(1, post_fields()) + headers(1, {{"x", std::string(300, 'a')}}, kEndStream)) ==
      "HEADERS 1 :status=431" + refused);
}

}  // namespace
}  // namespace tidegate::http::http2
