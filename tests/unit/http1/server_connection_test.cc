// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/http1/server_record.h"

namespace tidegate::http::http1 {
namespace {

using Stream = ServerRecord::Stream;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kEmpty200 = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
constexpr std::string_view kClosing200 =
    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

std::string post(uint64_t length, std::string_view fields = {}) {
  return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) + "\r\n" +
         std::string(fields) + "\r\n";
}

std::string get(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

TEST_CASE("a connection carries one request after the other") {
  ServerRecord server;
  answer_all(server);
  for (int i = 0; i < 3; ++i) {
    server.feed(kGet);
    CHECK(server.sent() == kEmpty200);
    CHECK(server.codec.idle());
    CHECK_FALSE(server.codec.done());
  }
  CHECK(server.streams() == 3);
}

TEST_CASE("pipelined requests that are answered at once are all taken in one read") {
  ServerRecord server;
  answer_all(server);
  server.feed(get("/1") + post(2) + "hi" + "\r\n" + get("/3"));
  CHECK(server.events() ==
        "request 1\nGET /1 from a {host: a} end\n"
        "request 2\nPOST / from a {host: a, content-length: 2} sized 2\nbody hi\nend\n"
        "request 3\nGET /3 from a {host: a} end\n");
  CHECK(server.sent() == std::string(kEmpty200) + std::string(kEmpty200) + std::string(kEmpty200));
  CHECK(server.kept() == 0);
}

TEST_CASE("a pipelined request waits for the response before it") {
  ServerRecord server;
  server.feed(get("/1") + get("/2"));
  CHECK(server.streams() == 1);
  CHECK(server.kept() == get("/2").size());
  server.feed_kept();
  CHECK(server.streams() == 1);
  server.stream().answer(200);
  CHECK(server.codec.idle());
  server.feed_kept();
  CHECK(server.streams() == 2);
  CHECK(server.stream().head.path == "/2");
}

TEST_CASE("pipelining looks the same wherever the bytes are split") {
  const std::string bytes = get("/1") + post(3) + "abc" + get("/2") +
                            "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "3\r\nabc\r\n0\r\nX: y\r\n\r\n" +
                            "\r\n" + get("/3");
  const auto run = [&](size_t split) {
    ServerRecord server;
    answer_all(server);
    server.feed(std::string_view(bytes).substr(0, split));
    server.feed(std::string_view(bytes).substr(split));
    return server.events() + server.sent();
  };
  const std::string whole = run(0);
  CHECK(whole.find("request 5") != std::string::npos);
  for (size_t split = 1; split < bytes.size(); ++split) {
    CAPTURE(split);
    CHECK(run(split) == whole);
  }
}

TEST_CASE("a client that asks for close is told, and what it sends after is not read") {
  ServerRecord server;
  answer_all(server);
  server.feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n" + std::string(kGet));
  CHECK(server.sent() == kClosing200);
  CHECK(server.codec.done());
  CHECK(server.streams() == 1);
  CHECK(server.kept() == 0);
}

TEST_CASE("a draining connection closes at once when idle") {
  ServerRecord server;
  answer_all(server);
  server.feed(kGet);
  server.codec.drain();
  CHECK(server.codec.done());
}

TEST_CASE("a draining connection finishes its request, and says close") {
  ServerRecord server;
  server.feed(kGet);
  server.codec.drain();
  CHECK_FALSE(server.codec.done());
  server.stream().answer(200);
  CHECK(server.sent() == kClosing200);
  CHECK(server.codec.done());
}

TEST_CASE("a draining connection still takes the request that has begun to arrive") {
  ServerRecord server;
  answer_all(server);
  server.feed("GET / HT");
  server.codec.drain();
  CHECK_FALSE(server.codec.done());
  server.feed("TP/1.1\r\nHost: a\r\n\r\n");
  CHECK(server.sent() == kClosing200);
  CHECK(server.codec.done());
}

TEST_CASE("draining during a response ends the connection after it") {
  ServerRecord server;
  server.feed(kGet);
  server.stream().send_head(200, BodyKind::Sized, 2, false);
  server.codec.drain();
  server.stream().send_body("hi");
  server.stream().send_end();
  CHECK(server.codec.done());
}

TEST_CASE("a half-closed client gets its answer, and then the close") {
  ServerRecord server;
  server.feed(kGet);
  server.eof();
  CHECK_FALSE(server.codec.done());
  server.stream().answer(200);
  CHECK(server.sent() == kClosing200);
  CHECK(server.codec.done());
}

TEST_CASE("a client that leaves between requests is no error") {
  ServerRecord server;
  server.eof();
  CHECK(server.codec.done());
  CHECK(server.events().empty());
  ServerRecord other;
  other.feed("\r\n\r");
  other.eof();
  CHECK(other.codec.done());
  CHECK(other.events().empty());
}

TEST_CASE("a client that leaves in the middle of a request is one") {
  ServerRecord server;
  server.feed("GET / HTTP/1.1\r\nHo");
  server.eof();
  CHECK(server.events() == "request 1\nerror bad_request\n");
  server.stream().answer(400);
  CHECK(server.codec.done());

  ServerRecord other;
  other.feed(post(5) + "he");
  other.eof();
  CHECK(other.events().ends_with("body he\nerror bad_request\n"));
}

TEST_CASE("a head that takes too long is a time-out, which may be answered") {
  ServerRecord server;
  server.feed("GET / HTTP/1.1\r\nHo");
  server.codec.expire_head();
  CHECK(server.events() == "request 1\nerror request_timeout\n");
  server.stream().answer(408);
  CHECK(server.sent() ==
        "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  CHECK(server.codec.done());
}

TEST_CASE("a connection takes no request after its last") {
  ServerRecord server;
  server.last_stream = 2;
  answer_all(server);
  server.feed(std::string(kGet) + std::string(kGet) + std::string(kGet));
  CHECK(server.streams() == 2);
  CHECK(server.sent() == std::string(kEmpty200) + std::string(kClosing200));
  CHECK(server.codec.done());
}

TEST_CASE("a reset ends the connection") {
  ServerRecord server;
  server.feed(kGet);
  server.stream().send_head(200, BodyKind::Streamed, 0, false);
  server.stream().reset();
  CHECK(server.codec.done());
  CHECK(server.codec.idle());
  server.stream().send_body("x");
  server.stream().send_end();
  CHECK(server.sent() == "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
}

TEST_CASE("a reset from inside the head event ends the connection") {
  ServerRecord server;
  server.when_head = [](Stream& stream) { stream.reset(); };
  server.feed(post(3) + "abc" + std::string(kGet));
  CHECK(server.codec.done());
  CHECK(server.streams() == 1);
  CHECK(server.events().find("body") == std::string::npos);
}

TEST_CASE("a reset from inside the body event ends the connection") {
  ServerRecord server;
  server.when_body = [](Stream& stream, std::string_view) { stream.reset(); };
  server.feed(post(3) + "abc" + std::string(kGet));
  CHECK(server.codec.done());
  CHECK(server.events().ends_with("body abc"));
}

TEST_CASE("calls for a stream that is over change nothing") {
  ServerRecord server;
  server.feed(kGet);
  Stream& first = server.stream();
  first.answer(200);
  server.feed(kGet);
  first.answer(500);
  first.reset();
  CHECK_FALSE(server.codec.done());
  server.stream().answer(200);
  CHECK(server.sent() == std::string(kEmpty200) + std::string(kEmpty200));
}

// ---- responses that end before their request ----

TEST_CASE("an early answer to a short body drops its rest and keeps the connection") {
  ServerRecord server;
  server.when_head = [](Stream& stream) {
    if (stream.id == 1) stream.answer(403);
  };
  server.feed(post(10) + "hello");
  CHECK(server.sent() == "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
  CHECK_FALSE(server.codec.done());
  CHECK(server.events().find("body") == std::string::npos);
  server.feed("world" + get("/next"));
  CHECK(server.streams() == 2);
  CHECK(server.stream().head.path == "/next");
}

TEST_CASE("a request that is given up closes, however little of it is left") {
  ServerRecord server;
  server.when_head = [&](Stream& stream) {
    server.codec.give_up_request(stream.id);
    stream.answer(413);
  };
  server.feed(post(10) + "hello");
  CHECK(server.sent().find("\r\nconnection: close\r\n") != std::string::npos);
  CHECK(server.codec.done());
}

TEST_CASE("an early answer to a long body closes, and says so") {
  ServerRecord server;
  server.when_head = [](Stream& stream) { stream.answer(403, "no"); };
  server.feed(post(1 << 20) + "hello");
  CHECK(server.sent() ==
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
  CHECK(server.codec.done());
}

TEST_CASE("an early answer to a chunked body closes, and says so") {
  ServerRecord server;
  server.when_head = [](Stream& stream) { stream.answer(200); };
  server.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
  CHECK(server.sent() == kClosing200);
  CHECK(server.codec.done());
}

TEST_CASE("an answer from inside the last body event keeps the connection") {
  ServerRecord server;
  server.when_body = [](Stream& stream, std::string_view) { stream.answer(200); };
  server.feed(post(5) + "hello" + std::string(kGet));
  CHECK(server.sent() == kEmpty200);
  CHECK(server.streams() == 2);
}

TEST_CASE("an echo of a long body does not close") {
  const std::string body(200000, 'x');
  for (const bool sized : {true, false}) {
    ServerRecord server;
    server.when_head = [&](Stream& stream) {
      stream.send_head(200, sized ? BodyKind::Sized : BodyKind::Streamed, body.size(), false);
    };
    server.when_body = [](Stream& stream, std::string_view bytes) {
      stream.send_body(bytes);
      stream.send_body("");
    };
    server.when_end = [](Stream& stream) { stream.send_end(); };
    server.feed(post(body.size()) + body);
    CHECK(server.sent().find("connection: close") == std::string::npos);
    CHECK_FALSE(server.codec.done());
    CHECK(server.codec.idle());
  }
}

TEST_CASE("a client that was not told to continue is closed on") {
  ServerRecord server;
  server.when_head = [](Stream& stream) { stream.answer(200); };
  server.feed(post(5, "Expect: 100-continue\r\n"));
  CHECK(server.sent() == kClosing200);
  CHECK(server.codec.done());
}

TEST_CASE("a client that was told to continue is not") {
  ServerRecord server;
  server.when_head = [](Stream& stream) { stream.interim(100); };
  server.when_end = [](Stream& stream) { stream.answer(200); };
  server.feed(post(5, "Expect: 100-continue\r\n"));
  CHECK(server.sent() == "HTTP/1.1 100 Continue\r\n\r\n");
  server.feed("hello");
  CHECK(server.sent() == kEmpty200);
  CHECK_FALSE(server.codec.done());
}

TEST_CASE("a client that does not wait to be told is not closed on") {
  ServerRecord server;
  server.when_end = [](Stream& stream) { stream.answer(200); };
  server.feed(post(5, "Expect: 100-continue\r\n") + "hello");
  CHECK(server.sent() == kEmpty200);
  CHECK_FALSE(server.codec.done());
}

TEST_CASE("an error in the body may still be answered") {
  ServerRecord server;
  server.feed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  CHECK(server.events().ends_with("error bad_request\n"));
  CHECK_FALSE(server.codec.done());
  server.stream().answer(400);
  CHECK(server.sent() ==
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  CHECK(server.codec.done());
}

// ---- tunnels ----

constexpr std::string_view kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

TEST_CASE("101 makes a tunnel, which each side ends for itself") {
  ServerRecord server;
  server.feed(std::string(kUpgrade) + "early");
  CHECK(server.kept() == 5);
  server.clear_events();
  server.stream().send_head(101, BodyKind::None, 0, false, {{"upgrade", "websocket"}, {"x", "y"}});
  CHECK(server.sent() ==
        "HTTP/1.1 101 Switching Protocols\r\nx: y\r\nconnection: upgrade\r\n"
        "upgrade: websocket\r\n\r\n");
  server.feed_kept();
  server.feed(" bytes\r\n\r\n");
  CHECK(server.events() == "body early bytes\r\n\r\n");
  server.stream().send_body("from origin");
  CHECK(server.sent() == "from origin");
  server.eof();
  CHECK(server.events().ends_with("\nend\n"));
  CHECK_FALSE(server.codec.done());
  server.stream().send_body("more");
  server.stream().send_end();
  CHECK(server.sent() == "more");
  CHECK(server.codec.done());
}

TEST_CASE("a tunnel whose origin ends first still takes what the client sends") {
  ServerRecord server;
  server.feed(kUpgrade);
  server.stream().send_head(101, BodyKind::None, 0, false);
  CHECK(server.sent().find("upgrade: websocket\r\n") != std::string::npos);
  CHECK_FALSE(server.codec.write_finished());
  server.stream().send_end();
  CHECK(server.codec.write_finished());
  CHECK_FALSE(server.codec.done());
  CHECK_FALSE(server.codec.idle());
  server.feed("late");
  CHECK(server.events().ends_with("body late"));
  server.eof();
  CHECK(server.events().ends_with("\nend\n"));
  CHECK(server.codec.done());
}

TEST_CASE("a client that half-closes before the tunnel begins has ended its side of it") {
  ServerRecord server;
  server.feed(kUpgrade);
  server.eof();
  server.stream().send_head(101, BodyKind::None, 0, false);
  CHECK(server.events().ends_with("\nend\n"));
  server.stream().send_body("x");
  server.stream().send_end();
  CHECK(server.codec.done());
}

TEST_CASE("a refused upgrade leaves an ordinary connection") {
  ServerRecord server;
  server.feed(std::string(kUpgrade) + std::string(kGet));
  server.stream().answer(200);
  server.feed_kept();
  CHECK(server.streams() == 2);
}

TEST_CASE("a tunnel that nobody asked for is none") {
  ServerRecord server;
  server.feed(kGet);
  server.stream().send_head(101, BodyKind::None, 0, false);
  CHECK(server.sent().empty());
  CHECK(server.codec.done());
}

constexpr std::string_view kConnect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";

struct Connected {
  ArenaBlocks blocks;
  Arena arena{blocks};
  ResponseHead head{arena};
  Connected() { head.status = 200, head.connected = true; }
};

TEST_CASE("a CONNECT that is connected becomes a tunnel, without any framing") {
  ServerRecord server;
  const Connected connected;
  server.feed(std::string(kConnect) + "early");
  CHECK(server.kept() == 5);
  server.clear_events();
  server.codec.send_head(server.stream().id, connected.head, false);
  CHECK(server.sent() == "HTTP/1.1 200 OK\r\n\r\n");
  server.feed_kept();
  CHECK(server.events() == "body early");
  server.stream().send_body("bytes");
  server.stream().send_end();
  CHECK(server.sent() == "bytes");
  CHECK(server.codec.write_finished());
  server.eof();
  CHECK(server.codec.done());
}

TEST_CASE("any other 2xx to a CONNECT has no framing and ends the connection") {
  ServerRecord server;
  server.feed(std::string(kConnect) + std::string(kGet));
  server.stream().answer(200, "hello");
  CHECK(server.sent() == "HTTP/1.1 200 OK\r\n\r\nhello");
  CHECK(server.codec.done());
}

TEST_CASE("a CONNECT that is refused leaves an ordinary connection") {
  ServerRecord server;
  server.feed(std::string(kConnect) + std::string(kGet));
  server.stream().answer(403);
  server.feed_kept();
  CHECK(server.streams() == 2);
}

TEST_CASE("nobody is connected who did not ask for it") {
  ServerRecord server;
  const Connected connected;
  server.feed(kGet);
  server.codec.send_head(server.stream().id, connected.head, false);
  CHECK(server.sent().empty());
  CHECK(server.codec.done());
}

}  // namespace
}  // namespace tidegate::http::http1
