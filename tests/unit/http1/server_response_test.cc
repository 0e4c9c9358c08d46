// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/http1/server_record.h"

namespace tidegate::http::http1 {
namespace {

using Stream = ServerRecord::Stream;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kOldGet = "GET / HTTP/1.0\r\n\r\n";

/// What is sent when `answer` answers `request`.
std::string sent_to(std::string_view request, const std::function<void(Stream&)>& answer) {
  ServerRecord server;
  server.when_end = answer;
  server.feed(request);
  return server.sent();
}

TEST_CASE("a sized response says its length") {
  CHECK(sent_to(kGet, [](Stream& s) {
          s.answer(200, "hello", {{"server", "x"}});
        }) == "HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 5\r\n\r\nhello");
  CHECK(sent_to(kGet, [](Stream& s) { s.answer(404); }) ==
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
  CHECK(sent_to(kGet, [](Stream& s) { s.send_head(200, BodyKind::None, 0, true); }) ==
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

TEST_CASE("an unregistered status has an empty reason") {
  CHECK(sent_to(kGet, [](Stream& s) { s.answer(299); }) ==
        "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n");
}

TEST_CASE("the codec frames by itself, whatever the fields say") {
  CHECK(sent_to(kGet, [](Stream& s) {
          s.answer(200, "hello",
                   {{"connection", "x"},
                    {"content-length", "77"},
                    {"keep-alive", "timeout=5"},
                    {"proxy-connection", "keep-alive"},
                    {"transfer-encoding", "chunked"},
                    {"upgrade", "h2"},
                    {"x", "y"}});
        }) == "HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 5\r\n\r\nhello");
}

void stream_two(Stream& stream) {
  stream.send_head(200, BodyKind::Streamed, 0, false);
  stream.send_body("hello ");
  stream.send_body("");
  stream.send_body("streaming world");
  stream.send_end({{"x-sum", "7"}, {"content-length", "5"}});
}

TEST_CASE("a streamed response is chunked and has trailers, but no framing among them") {
  CHECK(sent_to(kGet, stream_two) ==
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        "6\r\nhello \r\nf\r\nstreaming world\r\n0\r\nx-sum: 7\r\n\r\n");
}

TEST_CASE("a streamed response that is empty from the start is sized") {
  CHECK(sent_to(kGet, [](Stream& s) { s.send_head(200, BodyKind::Streamed, 0, true); }) ==
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

TEST_CASE("a long chunk is borrowed, and framed all the same") {
  const std::string body(5000, 'x');
  CHECK(sent_to(kGet,
                [&](Stream& s) {
                  s.send_head(200, BodyKind::Streamed, 0, false);
                  s.send_body(body);
                  s.send_end();
                }) ==
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n" + body + "\r\n0\r\n\r\n");
}

TEST_CASE("an HTTP/1.0 client gets a streamed response to the close of its connection") {
  ServerRecord server;
  server.when_end = stream_two;
  server.feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(server.sent() == "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello streaming world");
  CHECK(server.codec.done());
}

TEST_CASE("an HTTP/1.0 connection is kept when its client asks for it") {
  ServerRecord server;
  answer_all(server);
  server.feed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
  CHECK(server.sent() == "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n");
  CHECK_FALSE(server.codec.done());
  server.feed(kOldGet);
  CHECK(server.sent() == "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  CHECK(server.codec.done());
}

TEST_CASE("HEAD is answered without a body but with its length") {
  constexpr std::string_view kHead = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(sent_to(kHead, [](Stream& s) { s.answer(200, "hello"); }) ==
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
  CHECK(sent_to(kHead, [](Stream& s) { s.send_head(200, BodyKind::None, 0, true); }) ==
        "HTTP/1.1 200 OK\r\n\r\n");
  CHECK(sent_to(kHead, [](Stream& s) {
          s.send_head(200, BodyKind::None, 7, true, {{"content-length", "7"}});
        }) == "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
  CHECK(sent_to(kHead, stream_two) == "HTTP/1.1 200 OK\r\n\r\n");
}

TEST_CASE("204 and 304 have no body, and 304 may say a length") {
  CHECK(sent_to(kGet, [](Stream& s) { s.send_head(204, BodyKind::None, 0, true); }) ==
        "HTTP/1.1 204 No Content\r\n\r\n");
  CHECK(sent_to(kGet, [](Stream& s) { s.answer(204, "hello"); }) ==
        "HTTP/1.1 204 No Content\r\n\r\n");
  CHECK(sent_to(kGet, [](Stream& s) {
          s.send_head(304, BodyKind::None, 7, true, {{"content-length", "7"}});
        }) == "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n");
  CHECK(sent_to(kGet, [](Stream& s) { s.send_head(304, BodyKind::None, 0, true); }) ==
        "HTTP/1.1 304 Not Modified\r\n\r\n");
}

void hint_and_answer(Stream& stream) {
  stream.interim(103, {{"link", "</a>"}});
  stream.interim(100);
  stream.answer(200);
  stream.interim(103);
}

TEST_CASE("interim responses go before the final one") {
  CHECK(sent_to(kGet, hint_and_answer) ==
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

TEST_CASE("an HTTP/1.0 client gets no interim response") {
  CHECK(sent_to(kOldGet, hint_and_answer) ==
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

TEST_CASE("a response that ends short of its length ends the connection") {
  ServerRecord server;
  server.feed(kGet);
  server.stream().send_head(200, BodyKind::Sized, 10, false);
  server.stream().send_body("hello");
  server.stream().send_end();
  CHECK(server.codec.done());
  CHECK(server.sent() == "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
}

TEST_CASE("an origin's reason phrase is passed on") {
  ServerRecord server;
  ArenaBlocks blocks;
  Arena arena(blocks);
  ResponseHead head(arena);
  head.status = 200;
  head.reason = "Fine";
  server.feed(kGet);
  server.codec.send_head(server.stream().id, head, true);
  CHECK(server.sent() == "HTTP/1.1 200 Fine\r\ncontent-length: 0\r\n\r\n");
}

}  // namespace
}  // namespace tidegate::http::http1
