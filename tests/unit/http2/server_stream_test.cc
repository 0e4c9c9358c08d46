// SPDX-License-Identifier: Apache-2.0
// The server codec's streams: responses, flow control, tunnels, resets, the end of a connection.
#include <doctest/doctest.h>

#include <algorithm>

#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

std::string post(uint32_t stream) {
  return headers(stream, post_fields());
}

size_t data_bytes(const std::vector<Frame>& frames, uint32_t stream) {
  size_t total = 0;
  for (const Frame& frame : frames) {
    if (frame.type == kData && frame.stream == stream) total += frame.payload.size();
  }
  return total;
}

TEST_CASE("a response goes out with its body and its length") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  server.call(1).answer(200, "hello", {{"x", "y"}});
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200 x=y content-length=5\nDATA 1 \"hello\" END\n");
  CHECK(server.codec.idle());
}

TEST_CASE("fields that concern a connection stay behind") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  server.call(1).answer(200, "",
                        {{"connection", "close"},
                         {"keep-alive", "1"},
                         {"proxy-connection", "close"},
                         {"transfer-encoding", "chunked"},
                         {"upgrade", "h2c"},
                         {"content-length", "99"},
                         {"a", "b"}});
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200 a=b content-length=0 END\n");
}

TEST_CASE("interim responses go out before the final one") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  server.call(1).interim(103, {{"link", "</a>"}});
  server.call(1).answer(204);
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=103 link=</a>\nHEADERS 1 :status=204 END\n");
}

TEST_CASE("responses that have no body by nature end with their head") {
  ServerRecord server;
  server.begin();
  FieldTexts head = get_fields();
  head[0].second = "HEAD";
  server.feed(headers(1, head, kEndStream));
  server.call(1).send_head(200, BodyKind::Sized, 1234, false);
  server.call(1).send_body("not for HEAD");
  server.call(1).send_end();
  server.feed(get(3));
  server.call(3).send_head(304, BodyKind::None, 0, true, {{"etag", "x"}});
  server.flush();
  CHECK(server.sent() ==
        "HEADERS 1 :status=200 content-length=1234 END\n"
        "HEADERS 3 :status=304 etag=x END\n");
  CHECK(server.codec.idle());
}

TEST_CASE("trailers follow the body, and also an empty one") {
  ServerRecord server;
  server.begin();
  server.feed(get(1) + get(3));
  server.call(1).send_head(200, BodyKind::Streamed, 0, false);
  server.call(1).send_body("x");
  server.call(1).send_end({{"grpc-status", "0"}, {"connection", "x"}});
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200\nDATA 1 \"x\"\nHEADERS 1 grpc-status=0 END\n");
  server.call(3).send_head(200, BodyKind::Streamed, 0, false);
  server.call(3).send_end({{"grpc-status", "5"}});
  server.flush();
  CHECK(server.sent() == "HEADERS 3 :status=200\nHEADERS 3 grpc-status=5 END\n");
}

TEST_CASE("a body that falls short of its length is reset, and one that exceeds it is cut") {
  ServerRecord server;
  server.begin();
  server.feed(get(1) + get(3));
  server.call(1).send_head(200, BodyKind::Sized, 5, false);
  server.call(1).send_body("abc");
  server.call(1).send_end();
  server.flush();
  CHECK(server.sent().ends_with("RST_STREAM 1 INTERNAL_ERROR\n"));
  server.call(3).send_head(200, BodyKind::Sized, 5, false);
  server.call(3).send_body("abcdefg");
  server.call(3).send_end();
  server.flush();
  CHECK(server.sent() == "HEADERS 3 :status=200 content-length=5\nDATA 3 \"abcde\" END\n");
}

TEST_CASE("a response that is complete before its request ends the stream (RFC 9113 8.1)") {
  ServerRecord server;
  server.begin();
  server.feed(post(1));
  server.call(1).answer(413);
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=413 content-length=0 END\nRST_STREAM 1 NO_ERROR\n");
  CHECK(server.codec.idle());
  server.feed(data(1, "late", true) + get(3));  // it had not heard of it yet
  CHECK(server.calls() == 2);
  CHECK_FALSE(server.codec.done());
}

TEST_CASE("response bytes wait for the windows, and the exchange hears when they have gone") {
  ServerRecord server;
  server.begin();
  server.feed(settings({{4, 10}}) + get(1));
  ServerRecord::Call& call = server.call(1);
  call.send_head(200, BodyKind::Streamed, 0, false);
  {
    std::string body = "0123456789abcdef";
    call.send_body(body);
    server.flush();
    std::fill(body.begin(), body.end(), '#');  // it was borrowed until the flush
  }
  CHECK(server.sent() == "HEADERS 1 :status=200\nDATA 1 \"0123456789\"\n");
  CHECK(server.codec.write_blocked(1));
  CHECK(call.writable == 0);
  server.feed(window_update(1, 3));
  CHECK(server.sent() == "DATA 1 \"abc\"\n");
  CHECK(call.writable == 0);
  server.feed(window_update(1, 100));
  CHECK(server.sent() == "DATA 1 \"def\"\n");
  CHECK_FALSE(server.codec.write_blocked(1));
  CHECK(call.writable == 1);
  call.send_body("more");
  call.send_end();
  server.flush();
  CHECK(server.sent() == "DATA 1 \"more\" END\n");
}

TEST_CASE("what an exchange sends when it hears that it may goes out with the next flush") {
  ServerRecord server;
  server.begin();
  server.feed(settings({{4, 4}}) + get(1));
  server.when_writable = [](ServerRecord::Call& call) {
    call.send_body("second");
    call.send_end();
  };
  server.call(1).send_head(200, BodyKind::Streamed, 0, false);
  server.call(1).send_body("first");
  server.flush();
  server.sent();
  server.feed(window_update(1, 100));
  CHECK(server.sent() == "DATA 1 \"t\"\n");
  server.flush();
  CHECK(server.sent() == "DATA 1 \"second\" END\n");
}

TEST_CASE("while the transport takes nothing, nothing is appended and nothing is lost") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  server.call(1).send_head(200, BodyKind::Streamed, 0, false);
  for (int i = 0; i < 3; ++i) {
    std::string body(5000, static_cast<char>('a' + i));
    server.call(1).send_body(body);
    server.flush(true);
    std::fill(body.begin(), body.end(), '#');
    CHECK(server.output.empty());
    CHECK(server.codec.write_blocked(1));
  }
  server.flush();
  std::string got;
  for (const Frame& frame : server.frames()) {
    if (frame.type == kData) got += frame.payload;
  }
  CHECK(got == std::string(5000, 'a') + std::string(5000, 'b') + std::string(5000, 'c'));
  CHECK(server.call(1).writable == 1);
}

TEST_CASE("a large body is borrowed, not copied") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  const std::string body(30000, 'x');
  server.call(1).send_head(200, BodyKind::Sized, body.size(), false);
  server.call(1).send_body(body);
  server.codec.produce(false);
  std::array<iovec, OutputBlock::kSegments> parts;
  const size_t count = server.output.gather(parts);
  size_t borrowed = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto* at = static_cast<const char*>(parts[i].iov_base);
    if (at >= body.data() && at < body.data() + body.size()) borrowed += parts[i].iov_len;
  }
  CHECK(borrowed == body.size());
}

TEST_CASE("streams with much to send take turns") {
  ServerRecord server;
  server.begin();
  server.feed(window_update(0, 1 << 20) + settings({{4, 1 << 20}}) + get(1) + get(3) + get(5));
  const std::string body(200000, 'x');
  for (const StreamId id : {1, 3, 5}) {
    server.call(id).send_head(200, BodyKind::Sized, body.size(), false);
    server.call(id).send_body(body);
    server.call(id).send_end();
  }
  server.flush();
  std::vector<uint32_t> order;
  for (const Frame& frame : server.frames()) {
    if (frame.type == kData) order.push_back(frame.stream);
  }
  REQUIRE(order.size() > 12);
  for (size_t i = 0; i + 3 <= 12; i += 3) {
    std::vector<uint32_t> round(order.begin() + static_cast<long>(i),
                                order.begin() + static_cast<long>(i) + 3);
    std::sort(round.begin(), round.end());
    CHECK(round == std::vector<uint32_t>{1, 3, 5});
  }
}

TEST_CASE("an urgent stream goes first (RFC 9218)") {
  ServerRecord server;
  server.begin();
  server.feed(get(1) + get(3, {{"priority", "u=0, i"}}));
  const std::string body(60000, 'x');
  for (const StreamId id : {1, 3}) {
    server.call(id).send_head(200, BodyKind::Sized, body.size(), false);
    server.call(id).send_body(body);
  }
  server.flush();
  const std::vector<Frame> frames = server.frames();
  CHECK(data_bytes(frames, 3) == 60000);
  CHECK(data_bytes(frames, 1) == 5535);  // what was left of the connection's window
}

TEST_CASE("a paused stream keeps its window shut, and only its own") {
  Settings small;
  small.stream_window = 1000;
  small.connection_window = 100000;
  ServerRecord server(small);
  server.begin();
  server.feed(post(1) + post(3));
  server.codec.pause(1);
  server.feed(data(1, std::string(800, 'x')) + data(3, std::string(800, 'x')));
  CHECK(server.sent() == "WINDOW_UPDATE 3 800\n");
  CHECK(server.call(1).body_bytes == 800);
  server.codec.resume(1);
  server.flush();
  CHECK(server.sent() == "WINDOW_UPDATE 1 800\n");
}

TEST_CASE("windows are opened in halves") {
  Settings small;
  small.stream_window = 1000;
  ServerRecord server(small);
  server.begin();
  server.feed(post(1));
  server.feed(data(1, std::string(400, 'x')));
  CHECK(server.sent().empty());
  server.feed(data(1, std::string(100, 'x')));
  CHECK(server.sent() == "WINDOW_UPDATE 1 500\n");
}

TEST_CASE("a stream that the client resets is heard of, whatever its state") {
  ServerRecord server;
  server.begin();
  server.feed(post(1) + get(3) + get(5));
  server.call(5).send_head(200, BodyKind::Streamed, 0, false);
  server.feed(rst_stream(1, kCancel) + rst_stream(3, kCancel) + rst_stream(5, kCancel));
  for (const StreamId id : {1, 3, 5}) {
    CHECK(server.call(id).events().ends_with("error client_closed\n"));
  }
  CHECK(server.codec.idle());
  server.call(3).answer(200, "too late");
  server.flush();
  CHECK(server.sent().find("HEADERS 3") == std::string::npos);
}

TEST_CASE("an exchange that breaks off resets its stream, and hears nothing more") {
  ServerRecord server;
  server.begin();
  server.feed(post(1));
  server.call(1).send_head(200, BodyKind::Streamed, 0, false);
  server.call(1).send_body("half");
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200\nDATA 1 \"half\"\n");
  server.call(1).reset(ErrorCode::OriginReset);
  const std::string before = server.call(1).events();
  server.feed(data(1, "more", true));
  CHECK(server.sent() == "RST_STREAM 1 INTERNAL_ERROR\n");
  CHECK(server.call(1).events() == before);
  CHECK(server.codec.idle());
}

TEST_CASE("trailers of a body that was replaced end the request and are dropped") {
  ServerRecord server;
  server.begin();
  server.feed(headers(1, {{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}}));
  server.call(1).head.drops_trailers = true;
  server.feed(data(1, "x") + headers(1, {{"x-sum", "1"}}, true));
  CHECK(server.call(1).events().ends_with("body x\nend\n"));
}

std::string connect(uint32_t stream) {
  return headers(stream, {{":method", "CONNECT"},
                          {":protocol", "websocket"},
                          {":scheme", "https"},
                          {":authority", "a"},
                          {":path", "/chat"}});
}

TEST_CASE("a 101 opens a tunnel, which ends on each side by itself (RFC 8441)") {
  ServerRecord server;
  server.begin();
  server.feed(connect(1));
  server.call(1).send_head(101, BodyKind::None, 0, false,
                           {{"upgrade", "websocket"},
                            {"sec-websocket-accept", "x"},
                            {"sec-websocket-protocol", "chat"}});
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200 sec-websocket-protocol=chat\n");
  server.feed(data(1, "ping"));
  server.call(1).send_body("pong");
  server.flush();
  CHECK(server.sent() == "DATA 1 \"pong\"\n");
  SUBCASE("the client first") {
    server.feed(data(1, "", true));
    CHECK(server.call(1).events().ends_with("body ping\nend\n"));
    CHECK_FALSE(server.codec.idle());
    server.call(1).send_end();
    server.flush();
    CHECK(server.sent() == "DATA 1 \"\" END\n");
  }
  SUBCASE("the origin first") {
    server.call(1).send_end();
    server.flush();
    CHECK(server.sent() == "DATA 1 \"\" END\n");
    CHECK_FALSE(server.codec.idle());
    server.feed(data(1, "bye", true));
    CHECK(server.call(1).events().ends_with("body pingbye\nend\n"));
  }
  CHECK(server.codec.idle());
}

TEST_CASE("what a client sends before its tunnel is open is held, one window of it") {
  Settings small;
  small.stream_window = 1000;
  ServerRecord server(small);
  server.begin();
  server.feed(connect(1) + data(1, std::string(1000, 'x')));
  CHECK(server.sent().empty());
  CHECK(server.call(1).body_bytes == 0);
  server.call(1).send_head(101, BodyKind::None, 0, false);
  CHECK(server.call(1).body_bytes == 1000);
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200\nWINDOW_UPDATE 1 1000\n");
}

TEST_CASE("a tunnel that is refused is an ordinary response") {
  ServerRecord server;
  server.begin();
  server.feed(connect(1) + data(1, "early"));
  server.call(1).answer(403, "no");
  server.flush();
  CHECK(server.sent() ==
        "HEADERS 1 :status=403 content-length=2\nDATA 1 \"no\" END\n"
        "RST_STREAM 1 NO_ERROR\n");
  CHECK(server.codec.idle());
}

TEST_CASE("a CONNECT that is connected becomes a tunnel (RFC 9113 8.5)") {
  ServerRecord server;
  server.begin();
  server.feed(headers(1, {{":method", "CONNECT"}, {":authority", "a:443"}}) + data(1, "early"));
  ArenaBlocks blocks;
  Arena arena(blocks);
  ResponseHead connected(arena);
  connected.status = 200;
  connected.connected = true;
  server.codec.send_head(1, connected, false);
  server.call(1).send_body("bytes");
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200\nDATA 1 \"bytes\"\n");
  CHECK(server.call(1).events().ends_with("body early"));
  server.call(1).send_end();
  server.feed(data(1, "", true));
  CHECK(server.codec.idle());
}

TEST_CASE("any other 2xx to a CONNECT says no length (RFC 9110 9.3.6)") {
  ServerRecord server;
  server.begin();
  server.feed(headers(1, {{":method", "CONNECT"}, {":authority", "a:443"}}));
  server.call(1).answer(200, "hello");
  server.flush();
  CHECK(server.sent() ==
        "HEADERS 1 :status=200\nDATA 1 \"hello\" END\nRST_STREAM 1 NO_ERROR\n");
}

TEST_CASE("a 101 that nobody asked for goes to nobody") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  server.call(1).send_head(101, BodyKind::None, 0, false);
  server.flush();
  CHECK(server.sent() == "RST_STREAM 1 INTERNAL_ERROR\n");
}

TEST_CASE("a drain is announced, then named, and what runs is finished (RFC 9113 6.8)") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  server.codec.drain();
  server.flush();
  CHECK(server.sent() == "PING\nGOAWAY last 2147483647 NO_ERROR\n");
  server.feed(get(3));  // under way when the client heard
  server.feed(ping(std::string(8, '\0'), kAck));
  CHECK(server.sent() == "GOAWAY last 3 NO_ERROR\n");
  server.feed(get(5));
  CHECK_FALSE(server.has(5));
  CHECK_FALSE(server.codec.done());
  server.call(1).answer(200);
  server.call(3).answer(200);
  server.flush();
  CHECK(server.codec.done());
}

TEST_CASE("an idle connection is done once its drain is heard of") {
  ServerRecord server;
  server.begin();
  server.codec.drain();
  server.flush();
  CHECK_FALSE(server.codec.done());
  server.feed(ping(std::string(8, '\0'), kAck));
  CHECK(server.codec.done());
}

TEST_CASE("after the last request that the connection takes, it says so") {
  ServerRecord server;
  server.last_stream = 3;
  answer_all(server);
  server.begin();
  server.feed(get(1));
  server.feed(get(3) + get(5));
  CHECK(server.calls() == 2);
  CHECK(server.sent().find("GOAWAY last 3 NO_ERROR\n") != std::string::npos);
  CHECK(server.codec.done());
}

TEST_CASE("the end of the connection ends all exchanges") {
  ServerRecord server;
  server.begin();
  server.feed(post(1) + get(3));
  server.codec.receive_eof();
  CHECK(server.call(1).events().ends_with("error client_closed\n"));
  CHECK(server.call(3).events().ends_with("error client_closed\n"));
  CHECK(server.codec.done());
  CHECK(server.codec.idle());
}

TEST_CASE("a head that takes too long is answered, and nothing follows it") {
  ServerRecord server;
  answer_all(server);
  server.begin();
  CHECK_FALSE(server.codec.receiving_head());
  server.feed(frame(kHeaders, kEndStream, 1, literals(get_fields())));
  CHECK(server.codec.receiving_head());
  server.codec.expire_head();
  server.flush();
  CHECK(server.call(1).events() == "error request_timeout\n");
  CHECK(server.sent() ==
        "GOAWAY last 1 NO_ERROR\nHEADERS 1 :status=408 content-length=0 END\n"
        "RST_STREAM 1 PROTOCOL_ERROR\n");
  CHECK(server.codec.done());
}

TEST_CASE("trailers that are half there expire for the request that they belong to") {
  ServerRecord server;
  server.begin();
  server.feed(post(1) + frame(kHeaders, kEndStream, 1, literals({{"x-sum", "1"}})));
  CHECK(server.codec.receiving_head());
  server.codec.expire_head();
  server.flush();
  CHECK(server.call(1).events().ends_with("error request_timeout\n"));
  CHECK_FALSE(server.codec.receiving_head());
}

TEST_CASE("a block whose stream is reset before it ends leaves nothing behind") {
  ServerRecord server;
  server.begin();
  server.feed(post(1) + frame(kHeaders, kEndStream, 1, literals({{"x-left", "1"}})));
  server.call(1).reset(ErrorCode::OriginReset);
  server.flush();
  CHECK_FALSE(server.codec.receiving_head());
  server.feed(frame(kContinuation, kEndHeaders, 1, literals({{"x-over", "1"}})) + get(3));
  CHECK(server.call(3).events().find("x-left") == std::string::npos);
  CHECK(server.call(3).events().find("x-over") == std::string::npos);
  CHECK(server.call(3).events().find("GET") != std::string::npos);
}

TEST_CASE("streams whose client leaves its windows shut are reset when told") {
  ServerRecord server;
  server.begin();
  server.feed(settings({{4, 10}}) + get(1) + get(3));
  const std::string body(100, 'x');
  for (const StreamId id : {1, 3}) server.call(id).answer(200, body);
  server.flush();
  CHECK(server.codec.expire_stalled());  // both have just sent something
  server.feed(window_update(3, 5));
  server.sent();
  CHECK(server.codec.expire_stalled());
  server.flush();
  CHECK(server.sent() == "RST_STREAM 1 CANCEL\n");
  CHECK_FALSE(server.codec.expire_stalled());
  server.flush();
  CHECK(server.codec.idle());
}

}  // namespace
}  // namespace tidegate::http::http2
