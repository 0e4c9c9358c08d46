// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/http1/client_record.h"

namespace tidegate::http::http1 {
namespace {

TEST_CASE("a request without a body says nothing of one") {
  ClientRecord client;
  client.request().path = "/a";
  client.add_field("x", "y");
  client.get();
  CHECK(client.sent() == "GET /a HTTP/1.1\r\nhost: origin\r\nx: y\r\n\r\n");
}

TEST_CASE("a query follows its question mark, even an empty one") {
  ClientRecord client;
  client.request().has_query = true;
  client.get();
  CHECK(client.sent() == "GET /? HTTP/1.1\r\nhost: origin\r\n\r\n");
  ClientRecord other;
  other.request().has_query = true;
  other.request().query = "a=b";
  other.get();
  CHECK(other.sent() == "GET /?a=b HTTP/1.1\r\nhost: origin\r\n\r\n");
}

TEST_CASE("Host goes first wherever it stood") {
  ClientRecord client;
  client.request().headers.clear();
  client.add_field("x", "y");
  client.add_field("host", "h");
  client.get();
  CHECK(client.sent() == "GET / HTTP/1.1\r\nhost: h\r\nx: y\r\n\r\n");
}

TEST_CASE("methods that mean something with a body say when there is none") {
  for (const std::string method : {"POST", "PUT", "PATCH"}) {
    ClientRecord client;
    client.get(method);
    CHECK(client.sent() == method + " / HTTP/1.1\r\nhost: origin\r\ncontent-length: 0\r\n\r\n");
  }
  ClientRecord client;
  client.get("DELETE");
  CHECK(client.sent() == "DELETE / HTTP/1.1\r\nhost: origin\r\n\r\n");
}

TEST_CASE("the codec frames by itself, whatever the fields say") {
  ClientRecord client;
  client.request().body = BodyKind::Sized;
  client.request().content_length = 5;
  for (const std::string_view name : {"connection", "content-length", "keep-alive",
                                      "proxy-connection", "te", "transfer-encoding", "upgrade"}) {
    client.add_field(name, "77");
  }
  client.open();
  client.send_head(false);
  client.send_body("he");
  client.send_body("llo");
  client.send_end();
  CHECK(client.sent() == "GET / HTTP/1.1\r\nhost: origin\r\ncontent-length: 5\r\n\r\nhello");
}

TEST_CASE("a streamed request is chunked, with its trailers") {
  ClientRecord client;
  client.request().body = BodyKind::Streamed;
  client.open();
  client.send_head(false);
  client.send_body("0123456789abcdef");
  client.send_end({{"x-sum", "7"}, {"host", "b"}});
  CHECK(client.sent() ==
        "GET / HTTP/1.1\r\nhost: origin\r\ntransfer-encoding: chunked\r\n\r\n"
        "10\r\n0123456789abcdef\r\n0\r\nx-sum: 7\r\n\r\n");
}

TEST_CASE("a streamed request that is empty from the start is sized") {
  ClientRecord client;
  client.request().body = BodyKind::Streamed;
  client.open();
  client.send_head(true);
  CHECK(client.sent() == "GET / HTTP/1.1\r\nhost: origin\r\ncontent-length: 0\r\n\r\n");
}

TEST_CASE("te: trailers and an upgrade are named by Connection") {
  ClientRecord client;
  client.add_field("te", "trailers");
  client.get();
  CHECK(client.sent() ==
        "GET / HTTP/1.1\r\nhost: origin\r\nte: trailers\r\nconnection: te\r\n\r\n");
  ClientRecord upgrade;
  upgrade.get("GET", "websocket");
  CHECK(upgrade.sent() ==
        "GET / HTTP/1.1\r\nhost: origin\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  ClientRecord both;
  both.add_field("te", "trailers");
  both.get("GET", "websocket");
  CHECK(both.sent() ==
        "GET / HTTP/1.1\r\nhost: origin\r\nte: trailers\r\nconnection: te, upgrade\r\n"
        "upgrade: websocket\r\n\r\n");
}

TEST_CASE("a request cut short makes the connection unfit for another") {
  ClientRecord client;
  client.request().body = BodyKind::Sized;
  client.request().content_length = 5;
  client.open();
  client.send_head(false);
  client.send_body("he");
  client.send_end();
  client.feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  CHECK(client.codec.done());
}

}  // namespace
}  // namespace tidegate::http::http1
