// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/http1/client_record.h"

namespace tidegate::http::http1 {
namespace {

constexpr std::string_view kEmpty200 = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

bool reusable_after(std::string_view response) {
  ClientRecord client;
  client.get();
  client.feed(response);
  CHECK(client.codec.idle());
  CHECK(client.codec.can_open() == !client.codec.done());
  return client.codec.can_open();
}

TEST_CASE("a connection is kept by the rules of its version") {
  CHECK(reusable_after(kEmpty200));
  CHECK(reusable_after("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"));
  CHECK(reusable_after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
  CHECK(reusable_after("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n"));
  CHECK_FALSE(reusable_after("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
  CHECK_FALSE(
      reusable_after("HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 0\r\n\r\n"));
  CHECK_FALSE(
      reusable_after("HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\n"
                     "Content-Length: 0\r\n\r\n"));
}

TEST_CASE("a connection carries one exchange after the other") {
  ClientRecord client;
  for (int i = 0; i < 3; ++i) {
    client.get();
    CHECK_FALSE(client.codec.can_open());
    client.feed(kEmpty200);
    CHECK(client.codec.can_open());
  }
}

TEST_CASE("the next exchange may begin from inside the end of the one before") {
  ClientRecord client;
  int exchanges = 0;
  client.when_over = [&] {
    if (++exchanges < 3) client.get();
  };
  client.get();
  client.feed(kEmpty200);
  client.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  client.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  CHECK(exchanges == 3);
  CHECK(client.codec.can_open());
}

TEST_CASE("bytes behind a response never become the next one") {
  for (const std::string_view first :
       {kEmpty200, std::string_view("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        std::string_view("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")}) {
    ClientRecord client;
    bool could_open = true;
    client.when_over = [&] { could_open = client.codec.can_open(); };
    client.get();
    client.feed(std::string(first) + std::string(kEmpty200));
    CHECK_FALSE(could_open);
    CHECK(client.codec.done());
    CHECK(client.events().find("200", 10) == std::string::npos);
  }
}

TEST_CASE("bytes while idle end the connection") {
  ClientRecord client;
  client.get();
  client.feed(kEmpty200);
  client.feed("H");
  CHECK(client.codec.done());
  CHECK_FALSE(client.codec.can_open());
}

TEST_CASE("bytes before the request are no response to it") {
  ClientRecord client;
  client.open();
  client.feed(kEmpty200);
  CHECK(client.events() == "error origin_closed\n");
  CHECK(client.codec.done());
}

TEST_CASE("a response may overtake its request, whose connection then ends") {
  ClientRecord client;
  client.request().body = BodyKind::Streamed;
  client.open();
  client.send_head(false);
  client.send_body("x");
  client.sent();
  client.feed("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
  CHECK(client.events() == "413 Too Large {content-length: 2} sized 2\nbody no\nend\n");
  CHECK(client.codec.idle());
  CHECK(client.codec.done());
  client.send_body("y");
  client.send_end();
  CHECK(client.sent().empty());
}

TEST_CASE("a response head may overtake its request, whose connection then goes on") {
  ClientRecord client;
  client.request().body = BodyKind::Streamed;
  client.open();
  client.send_head(false);
  client.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nn");
  client.send_end();
  client.feed("o");
  CHECK(client.codec.can_open());
}

TEST_CASE("an origin that closes before the end of its response is an error") {
  for (const std::string_view part :
       {"", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n"}) {
    CAPTURE(part);
    ClientRecord client;
    client.get();
    client.feed(part);
    client.eof();
    CHECK(client.events().ends_with("error origin_closed\n"));
    CHECK(client.codec.done());
    CHECK(client.codec.idle());
  }
}

TEST_CASE("an origin that closes while idle is no error") {
  ClientRecord client;
  client.eof();
  CHECK(client.codec.done());
  CHECK(client.events().empty());
}

TEST_CASE("a broken transport fails the stream with its reason") {
  ClientRecord client;
  client.get();
  client.codec.fail(ErrorCode::OriginReset);
  CHECK(client.events() == "error origin_reset\n");
  CHECK(client.codec.done());
  client.codec.fail(ErrorCode::OriginReset);
  CHECK(client.events() == "error origin_reset\n");
}

TEST_CASE("a cancelled stream hears nothing more, and its connection ends") {
  ClientRecord client;
  client.get();
  client.codec.cancel(client.stream);
  CHECK(client.codec.idle());
  CHECK(client.codec.done());
  client.feed(kEmpty200);
  client.eof();
  CHECK(client.events().empty());
}

TEST_CASE("a stream may be cancelled from inside any event") {
  for (const std::string_view when : {"interim", "head", "body"}) {
    CAPTURE(when);
    ClientRecord client;
    const auto cancel = [&] { client.codec.cancel(client.stream); };
    if (when == "interim") client.when_interim = cancel;
    if (when == "head") client.when_head = cancel;
    if (when == "body") client.when_body = cancel;
    client.get();
    client.feed("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    CHECK(client.codec.idle());
    CHECK(client.codec.done());
    CHECK(client.events().find("end") == std::string::npos);
  }
}

TEST_CASE("cancelling a stream that is over leaves the next one alone") {
  ClientRecord client;
  client.get();
  const StreamId first = client.stream;
  client.feed(kEmpty200);
  client.get();
  client.codec.cancel(first);
  CHECK_FALSE(client.codec.done());
  CHECK_FALSE(client.codec.idle());
}

// ---- tunnels ----

constexpr std::string_view k101 =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

TEST_CASE("101 makes a tunnel, which each side ends for itself") {
  ClientRecord client;
  client.get("GET", "websocket");
  client.sent();
  client.feed(std::string(k101) + "early");
  CHECK(client.events() ==
        "101 Switching Protocols {connection: upgrade, upgrade: websocket}\nbody early");
  client.send_body("hi");
  CHECK(client.sent() == "hi");
  client.eof();
  CHECK(client.events().ends_with("body early\nend\n"));
  CHECK_FALSE(client.codec.idle());
  client.send_body("there");
  CHECK(client.sent() == "there");
  client.send_end();
  CHECK(client.codec.idle());
  CHECK(client.codec.done());
}

TEST_CASE("a tunnel whose client ends first still delivers what the origin sends") {
  ClientRecord client;
  client.get("GET", "websocket");
  client.feed(k101);
  client.send_end();
  CHECK(client.codec.write_finished());
  CHECK_FALSE(client.codec.idle());
  client.feed("late");
  client.eof();
  CHECK(client.events().ends_with("body late\nend\n"));
  CHECK(client.codec.idle());
  CHECK(client.codec.done());
}

TEST_CASE("H4: a tunnel begins behind the request's body") {
  ClientRecord client;
  client.open();
  client.request().method = Method::Post;
  client.request().method_name = "POST";
  client.request().upgrade = "tcp";
  client.request().body = BodyKind::Sized;
  client.request().content_length = 4;
  client.send_head(false);
  CHECK(
      client.sent().ends_with("content-length: 4\r\nconnection: upgrade\r\nupgrade: tcp\r\n\r\n"));
  client.send_body("{}{}");
  client.send_end();
  client.feed("HTTP/1.1 101 UPGRADED\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\nhi");
  CHECK(client.events() == "101 UPGRADED {connection: upgrade, upgrade: tcp}\nbody hi");
  client.sent();
  client.send_body("raw");
  CHECK(client.sent() == "raw");
}

TEST_CASE("H4: a 101 that does not wait for the request's body is no response") {
  ClientRecord client;
  client.open();
  client.request().upgrade = "tcp";
  client.request().body = BodyKind::Sized;
  client.request().content_length = 4;
  client.send_head(false);
  client.send_body("{}");
  client.feed(k101);
  CHECK(client.events() == "error bad_response\n");
}

TEST_CASE("an upgrade that the origin declines leaves an ordinary connection") {
  ClientRecord client;
  client.get("GET", "websocket");
  client.feed(kEmpty200);
  CHECK(client.codec.can_open());
}

TEST_CASE("a tunnel that breaks after the origin's end is an error to its sender") {
  ClientRecord client;
  client.get("GET", "websocket");
  client.feed(k101);
  client.eof();
  client.clear_events();
  client.codec.fail(ErrorCode::OriginReset);
  CHECK(client.events() == "error origin_reset\n");
  CHECK(client.codec.idle());
}

}  // namespace
}  // namespace tidegate::http::http1
