// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/http1/server_record.h"

namespace tidegate::http::http1 {
namespace {

std::string events_of(std::string_view bytes, Limits limits = {}) {
  ServerRecord server(limits);
  server.feed(bytes);
  return server.events();
}

TEST_CASE("a request head is taken apart, its names lower-cased and its values trimmed") {
  CHECK(events_of("GET /a/b?c=d&e HTTP/1.1\r\nHost: example.com:80\r\nX-One:two\r\n"
                  "ACCEPT: \t text/html , */*\t \r\nEmpty:\r\nBlank: \t\r\n\r\n") ==
        "request 1\n"
        "GET /a/b?c=d&e from example.com:80 {host: example.com:80, x-one: two, "
        "accept: text/html , */*, empty: , blank: } end\n");
}

TEST_CASE("path and query are split at the first question mark") {
  CHECK(events_of("GET /? HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "request 1\nGET /? from a {host: a} end\n");
  CHECK(events_of("GET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "request 1\nGET /a?b?c from a {host: a} end\n");
  ServerRecord server;
  server.feed("GET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(server.stream().head.path == "/a");
  CHECK(server.stream().head.query == "b?c");
  CHECK(server.stream().head.target == "/a?b?c");
}

TEST_CASE("an absolute target overrules Host") {
  CHECK(events_of("GET HTTP://Example.com:8080/a?b HTTP/1.1\r\nHost: other\r\n\r\n") ==
        "request 1\nGET /a?b by http from Example.com:8080 {host: Example.com:8080} end\n");
  CHECK(events_of("GET https://example.com HTTP/1.0\r\n\r\n") ==
        "request 1\nGET / HTTP/1.0 by https from example.com {host: example.com} end\n");
  CHECK(events_of("GET http://example.com?a HTTP/1.1\r\nHost: example.com\r\n\r\n") ==
        "request 1\nGET /?a by http from example.com {host: example.com} end\n");
}

TEST_CASE("OPTIONS may ask for the whole server") {
  CHECK(events_of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "request 1\nOPTIONS * from a {host: a} end\n");
  CHECK(events_of("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "request 1\nOPTIONS * by http from b {host: b} end\n");
}

TEST_CASE("CONNECT comes with the authority it names") {
  ServerRecord server;
  server.feed("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
  CHECK(server.stream().head.method == Method::Connect);
  CHECK(server.stream().head.authority == "example.com:443");
}

TEST_CASE("an unknown method is delivered as it stands") {
  ServerRecord server;
  server.feed("PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(server.stream().head.method == Method::Other);
  CHECK(server.stream().head.method_name == "PROPFIND");
  CHECK(events_of("get / HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "request 1\nget / from a {host: a} end\n");
}

TEST_CASE("hosts are names, IPv4 and bracketed IPv6 addresses, with or without a port") {
  for (const std::string host :
       {"a", "A.b-c_d~e.", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::ffff:1.2.3.4]:80", "a:"}) {
    CAPTURE(host);
    ServerRecord server;
    server.feed("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    CHECK(server.stream().head.authority == host);
    CHECK(server.events().find("error") == std::string::npos);
  }
}

TEST_CASE("HTTP/1.0 needs no Host") {
  CHECK(events_of("GET / HTTP/1.0\r\n\r\n") == "request 1\nGET / HTTP/1.0 end\n");
}

TEST_CASE("one or two empty lines before a request are skipped") {
  CHECK(events_of("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "request 1\nGET / from a {host: a} end\n");
  CHECK(events_of("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "request 1\nerror bad_request\n");
}

TEST_CASE("a sized body is delivered to its last byte") {
  CHECK(events_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello") ==
        "request 1\nPOST / from a {host: a, content-length: 5} sized 5\nbody hello\nend\n");
  CHECK(events_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") ==
        "request 1\nPOST / from a {host: a, content-length: 0} sized 0 end\n");
  CHECK(events_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell") ==
        "request 1\nPOST / from a {host: a, content-length: 5} sized 5\nbody hell");
}

TEST_CASE("a chunked body comes without its chunks, whatever their extensions") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n";
  const std::string begun =
      "request 1\nPOST / from a {host: a, transfer-encoding: Chunked} streamed\n";
  CHECK(events_of(head + "5\r\nhello\r\n006\r\n world\r\n0\r\n\r\n") ==
        begun + "body hello world\nend\n");
  CHECK(events_of(head + "A;a=b;c=\"d;\\\"\r\n0123456789\r\n00\r\n\r\n").find("error") !=
        std::string::npos);  // the quoted value does not end
  CHECK(events_of(head + "A;a=b;c=\"d;\\\"\";e\r\n0123456789\r\n00;f\r\n\r\n") ==
        begun + "body 0123456789\nend\n");
  CHECK(events_of(head + "0\r\n\r\n") == begun + "end\n");
}

TEST_CASE("trailers are kept apart, without those that belong in a head") {
  CHECK(events_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "1\r\nx\r\n0\r\nX-Sum: 7\r\nCookie: a=b\r\nGrpc-Status: 0\r\n\r\n") ==
        "request 1\nPOST / from a {host: a, transfer-encoding: chunked} streamed\nbody x\n"
        "end {x-sum: 7, grpc-status: 0}\n");
}

TEST_CASE("a client that waits for 100 is known, if there is something to wait for") {
  CHECK(
      events_of("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n") ==
      "request 1\nPUT / from a {host: a, content-length: 5, expect: 100-Continue} sized 5 "
      "expects continue\n");
  CHECK(events_of("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n") ==
        "request 1\nGET / from a {host: a, expect: 100-continue} end\n");
  CHECK(events_of("PUT / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n") ==
        "request 1\nPUT / HTTP/1.0 {content-length: 5, expect: 100-continue} sized 5\n");
}

TEST_CASE("an upgrade is asked for by Connection and one Upgrade together, and not to h2c") {
  const auto upgrade_of = [](std::string_view first_line, std::string_view fields) {
    ServerRecord server;
    server.feed(std::string(first_line) + "\r\nHost: a\r\n" + std::string(fields) + "\r\n");
    return std::string(server.stream().head.upgrade);
  };
  const std::string get = "GET / HTTP/1.1";
  CHECK(upgrade_of(get, "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n") ==
        "websocket");
  CHECK(upgrade_of(get, "Upgrade: websocket\r\n").empty());
  CHECK(upgrade_of(get, "Connection: upgrade\r\n").empty());
  CHECK(upgrade_of(get, "Connection: upgrade\r\nUpgrade: h2c\r\n").empty());
  CHECK(upgrade_of(get, "Connection: upgrade\r\nUpgrade: H2C\r\n").empty());
  CHECK(upgrade_of(get, "Connection: upgrade\r\nUpgrade: a, b\r\n").empty());
  CHECK(upgrade_of(get, "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n").empty());
  CHECK(upgrade_of("GET / HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n").empty());
  // H4: a body does not stand against it.
  CHECK(upgrade_of("POST / HTTP/1.1",
                   "Connection: upgrade\r\nUpgrade: tcp\r\nContent-Length: 1\r\n") == "tcp");
}

TEST_CASE("fields with an underscore are dropped unless they are allowed") {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX_Real_Ip: b\r\nx-y: c\r\n\r\n";
  CHECK(events_of(bytes) == "request 1\nGET / from a {host: a, x-y: c} end\n");
  Limits limits;
  limits.underscores = true;
  CHECK(events_of(bytes, limits) ==
        "request 1\nGET / from a {host: a, x_real_ip: b, x-y: c} end\n");
}

TEST_CASE("values may hold tabs and bytes outside ASCII") {
  CHECK(events_of("GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\ta\r\n\r\n") ==
        "request 1\nGET / from a {host: a, x: \xc3\xa9\ta} end\n");
}

TEST_CASE("limits are kept to the byte") {
  Limits limits;
  limits.request_line = 20;
  limits.header_bytes = 30;
  limits.header_count = 2;
  const auto outcome = [&](std::string_view bytes) {
    const std::string events = events_of(bytes, limits);
    const size_t error = events.find("error ");
    return error == std::string::npos ? "fine"
                                      : events.substr(error + 6, events.size() - error - 7);
  };
  CHECK(outcome("GET /345678 HTTP/1.1\r\nHost: a\r\n\r\n") == "fine");
  CHECK(outcome("GET /3456789 HTTP/1.1\r\nHost: a\r\n\r\n") == "uri_too_long");
  CHECK(outcome("GET /3456789 HTTP/1.1\r\n") == "uri_too_long");
  CHECK(outcome("GET /3456789012345678901") == "uri_too_long");
  CHECK(outcome("GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdef\r\n\r\n") == "fine");  // 9 + 21
  CHECK(outcome("GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdefg\r\n\r\n") ==
        "headers_too_large");
  CHECK(outcome("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nHost: a\r\n\r\n") == "headers_too_large");
}

TEST_CASE("a head that comes byte by byte is the same head, and holds no memory after it") {
  ServerRecord server;
  CHECK(server.codec.idle());
  server.feed_bytes("\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r");
  CHECK(server.codec.receiving_head());
  CHECK_FALSE(server.codec.idle());
  server.feed("\n");
  CHECK_FALSE(server.codec.receiving_head());
  CHECK(server.events() == "request 1\nGET /a from a {host: a} end\n");
}

TEST_CASE("an idle codec is small") {
  CHECK(sizeof(ServerCodec) <= 120);
}

TEST_CASE("trailers of a body that was replaced are read and dropped") {
  ServerRecord server;
  server.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
  server.stream().head.drops_trailers = true;
  server.feed("0\r\nx-sum: 1\r\n\r\n");
  CHECK(server.events().ends_with("body x\nend\n"));
  CHECK(server.stream().head.trailers.size() == 0);
}

}  // namespace
}  // namespace tidegate::http::http1
