// SPDX-License-Identifier: Apache-2.0
// The client codec against an origin that says what the test wants.
#include <doctest/doctest.h>

#include "unit/http2/client_record.h"

namespace tidegate::http::http2 {
namespace {

std::string reply(uint32_t stream, const FieldTexts& more = {}, uint8_t flags = kEndStream) {
  FieldTexts fields{{":status", "200"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return headers(stream, fields, flags);
}

TEST_CASE("preface and settings go first, and no stream opens before the origin's") {
  ClientRecord client;
  client.flush();
  const std::vector<Frame> sent = client.frames();
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].type == kSettings);
  CHECK(describe(sent[1]) == "WINDOW_UPDATE 983041");
  CHECK_FALSE(client.codec.can_open());
  client.feed(settings());
  CHECK(client.codec.can_open());
  CHECK(client.frames().size() == 1);  // the acknowledgement
}

TEST_CASE("a request goes out in the fields of HTTP/2") {
  ClientRecord client;
  client.begin();
  ClientRecord::Call& call = client.open();
  RequestHead& head = call.request;
  head.path = "/a";
  head.has_query = true;
  head.query = "b";
  for (const auto& [name, value] : FieldTexts{{"connection", "close"},
                                              {"te", "trailers"},
                                              {"transfer-encoding", "chunked"},
                                              {"http2-settings", "x"},
                                              {"x-own", "1"}}) {
    head.headers.add(head.headers.arena().copy(name), head.headers.arena().copy(value));
  }
  head.body = BodyKind::Sized;
  head.content_length = 2;
  call.send_head(false);
  call.send_body("hi");
  call.send_end();
  client.flush();
  CHECK(client.sent() ==
        "HEADERS 1 :method=GET :scheme=http :authority=origin :path=/a?b x-own=1 "
        "te=trailers content-length=2\nDATA 1 \"hi\" END\n");
}

TEST_CASE("responses come up, each to its own request") {
  ClientRecord client;
  client.begin();
  ClientRecord::Call& first = client.get();
  ClientRecord::Call& second = client.get();
  client.feed(reply(3, {{"x", "second"}}) + reply(1, {{"x", "first"}}, 0) + data(1, "body", true));
  CHECK(first.events() == "200  {x: first} streamed\nbody body\nend\n");
  CHECK(second.events() == "200  {x: second} end\n");
  CHECK(client.codec.idle());
  CHECK(client.codec.can_open());
}

struct Answer {
  const char* what;
  std::string bytes;
  std::string events;
};

TEST_CASE("well-formed responses") {
  const std::vector<Answer> answers{
      {"interim ones",
       headers(1, {{":status", "100"}}) + headers(1, {{":status", "103"}, {"link", "a"}}) +
           reply(1),
       "interim 100 \ninterim 103  {link: a}\n200  end\n"},
      {"a length", reply(1, {{"content-length", "2"}}, 0) + data(1, "hi", true),
       "200  {content-length: 2} sized 2\nbody hi\nend\n"},
      {"trailers", reply(1, {}, 0) + data(1, "hi") + headers(1, {{"grpc-status", "0"}}, kEndStream),
       "200  streamed\nbody hi\nend {grpc-status: 0}\n"},
      {"several cookies", reply(1, {{"set-cookie", "a"}, {"set-cookie", "b"}}),
       "200  {set-cookie: a, set-cookie: b} end\n"},
      {"304 with a length", headers(1, {{":status", "304"}, {"content-length", "9"}}, kEndStream),
       "304  {content-length: 9} end\n"},
  };
  for (const Answer& answer : answers) {
    CAPTURE(std::string(answer.what));
    ClientRecord client;
    client.begin();
    client.get();
    client.feed(answer.bytes);
    CHECK(client.call(0).events() == answer.events);
    ClientRecord split;
    split.begin();
    split.get();
    split.feed_bytes(answer.bytes);
    CHECK(split.call(0).events() == answer.events);
  }
}

TEST_CASE("malformed responses end their stream as bad_response (RFC 9113 8)") {
  const std::vector<Answer> answers{
      {"no :status", headers(1, {{"x", "y"}}, kEndStream), ""},
      {"a field before :status", headers(1, {{"x", "y"}, {":status", "200"}}, kEndStream), ""},
      {":status twice", reply(1, {{":status", "200"}}), ""},
      {"a request's pseudo-header", reply(1, {{":path", "/"}}), ""},
      {":status of two digits", headers(1, {{":status", "20"}}, kEndStream), ""},
      {":status of four digits", headers(1, {{":status", "2000"}}, kEndStream), ""},
      {":status below 100", headers(1, {{":status", "099"}}, kEndStream), ""},
      {":status over 599", headers(1, {{":status", "600"}}, kEndStream), ""},
      {":status that is no number", headers(1, {{":status", "+20"}}, kEndStream), ""},
      {"101", headers(1, {{":status", "101"}}), ""},
      {"an interim response that ends", headers(1, {{":status", "100"}}, kEndStream), ""},
      {"connection", reply(1, {{"connection", "close"}}), ""},
      {"transfer-encoding", reply(1, {{"transfer-encoding", "chunked"}}), ""},
      {"an upper-case name", reply(1, {{"X", "y"}}), ""},
      {"a line feed in a value", reply(1, {{"x", "a\nb"}}), ""},
      {"a length that is not reached", reply(1, {{"content-length", "3"}}, 0) + data(1, "ab", true),
       "200  {content-length: 3} sized 3\nbody ab\n"},
      {"a length that is exceeded", reply(1, {{"content-length", "1"}}, 0) + data(1, "ab", true),
       "200  {content-length: 1} sized 1\nbody a\n"},
      {"a length and no body", reply(1, {{"content-length", "1"}}), ""},
      {"two lengths", reply(1, {{"content-length", "0"}, {"content-length", "0"}}), ""},
      {"204 with a body", headers(1, {{":status", "204"}}) + data(1, "x", true), "204  streamed\n"},
      {"trailers that end nothing", reply(1, {}, 0) + headers(1, {{"x", "y"}}), "200  streamed\n"},
      {"pseudo-headers in trailers", reply(1, {}, 0) + headers(1, {{":status", "200"}}, kEndStream),
       "200  streamed\n"},
      {"DATA behind an interim head", headers(1, {{":status", "100"}}) + data(1, "x"),
       "interim 100 \n"},
  };
  for (const Answer& answer : answers) {
    CAPTURE(std::string(answer.what));
    ClientRecord client;
    client.begin();
    client.get();
    client.sent();
    client.feed(answer.bytes);
    CHECK(client.call(0).events() == answer.events + "error bad_response\n");
    const std::string sent = client.sent();
    CHECK((sent.empty() || sent == "RST_STREAM 1 PROTOCOL_ERROR\n"));
    CHECK(client.codec.can_open());  // it is the stream that is broken
  }
}

TEST_CASE("DATA before any head breaks the connection") {
  ClientRecord client;
  client.begin();
  client.get();
  client.sent();
  client.feed(data(1, "x", true));
  CHECK(client.call(0).events() == "error bad_response\n");
  CHECK(client.sent() == "GOAWAY last 0 PROTOCOL_ERROR\n");
  CHECK(client.codec.done());
}

TEST_CASE("heads over the limits") {
  Limits limits;
  limits.header_bytes = 100;
  ClientRecord client({}, limits);
  client.begin();
  client.get();
  client.feed(reply(1, {{"x", std::string(100, 'a')}}));
  CHECK(client.call(0).events() == "error response_headers_too_large\n");
}

TEST_CASE("endless interim responses are not waited for") {
  ClientRecord client;
  client.begin();
  client.get();
  for (int i = 0; i < 40; ++i) client.feed(headers(1, {{":status", "103"}}));
  CHECK(client.call(0).events().ends_with("error bad_response\n"));
}

TEST_CASE("a response to HEAD has no body") {
  ClientRecord client;
  client.begin();
  client.get("HEAD");
  client.feed(reply(1, {{"content-length", "99"}}));
  CHECK(client.call(0).events() == "200  {content-length: 99} end\n");
  client.get("HEAD");
  client.feed(reply(3, {{"content-length", "2"}}, 0) + data(3, "hi", true));
  CHECK(client.call(1).events().ends_with("error bad_response\n"));
}

TEST_CASE("no more streams than the origin allows") {
  ClientRecord client;
  client.begin(settings({{3, 2}}));
  client.get();
  CHECK(client.codec.can_open());
  client.get();
  CHECK_FALSE(client.codec.can_open());
  client.feed(reply(1));
  CHECK(client.codec.can_open());
  client.feed(settings({{3, 0}}));
  CHECK_FALSE(client.codec.can_open());
}

TEST_CASE("a stream that is cancelled counts until the origin is told") {
  ClientRecord client;
  client.begin(settings({{3, 1}}));
  ClientRecord::Call& call = client.get();
  client.sent();
  call.cancel();
  CHECK(client.codec.idle());
  client.flush();
  CHECK(client.sent() == "RST_STREAM 1 CANCEL\n");
  CHECK(client.codec.can_open());
  client.feed(reply(1));
  CHECK(call.events().empty());
}

TEST_CASE("a stream that is cancelled before it was sent is never sent") {
  ClientRecord client;
  client.begin();
  client.open().cancel();
  ClientRecord::Call& call = client.open();
  call.send_head(true);
  call.cancel();
  client.flush();
  CHECK(client.sent().empty());
  CHECK(client.codec.idle());
  client.get();
  CHECK(client.sent().starts_with("HEADERS 3"));
}

TEST_CASE("GOAWAY ends what the origin has not processed, so that it may be sent again") {
  ClientRecord client;
  client.begin();
  ClientRecord::Call& first = client.get();
  ClientRecord::Call& second = client.get();
  client.feed(goaway(1, kNoError));
  CHECK(first.events().empty());
  CHECK(second.events() == "error stream_refused\n");
  CHECK_FALSE(client.codec.can_open());
  CHECK(client.codec.done());
  CHECK_FALSE(client.codec.idle());
  client.feed(reply(1));
  CHECK(first.events() == "200  end\n");
  CHECK(client.codec.idle());
}

TEST_CASE("a request behind a GOAWAY that was on its way is refused too") {
  ClientRecord client;
  client.begin();
  ClientRecord::Call& call = client.open();
  call.send_head(true);
  client.codec.receive(goaway(0, kNoError));
  client.flush();
  CHECK(call.events() == "error stream_refused\n");
}

TEST_CASE("resets tell what may be done again") {
  ClientRecord client;
  client.begin();
  client.get();
  client.get();
  client.feed(rst_stream(1, kRefusedStream) + rst_stream(3, kInternalError));
  CHECK(client.call(0).events() == "error stream_refused\n");
  CHECK(client.call(1).events() == "error origin_reset\n");
}

TEST_CASE("a response that is complete before its request stops the request") {
  ClientRecord client;
  client.begin();
  ClientRecord::Call& call = client.open();
  call.request.body = BodyKind::Streamed;
  call.send_head(false);
  call.send_body("half");
  client.flush();
  client.sent();
  SUBCASE("by itself") {
    client.feed(reply(1));
    CHECK(client.sent() == "RST_STREAM 1 CANCEL\n");
  }
  SUBCASE("and the origin says so") {
    client.feed(reply(1) + rst_stream(1, kNoError));
  }
  CHECK(call.events() == "200  end\n");
  CHECK(client.codec.idle());
  CHECK(client.codec.can_open());
}

TEST_CASE("a request body that falls short of its length is reset") {
  ClientRecord client;
  client.begin();
  ClientRecord::Call& call = client.open();
  call.request.body = BodyKind::Sized;
  call.request.content_length = 9;
  call.send_head(false);
  client.flush();
  call.send_body("half");
  call.send_end();
  client.flush();
  CHECK(client.sent().ends_with("RST_STREAM 1 CANCEL\n"));
}

TEST_CASE("request bytes wait for the origin's windows") {
  ClientRecord client;
  client.begin(settings({{4, 4}}));
  ClientRecord::Call& call = client.open();
  call.request.body = BodyKind::Streamed;
  call.send_head(false);
  call.send_body("abcdef");
  client.flush();
  CHECK(client.codec.write_blocked(call.id));
  client.feed(window_update(1, 10));
  CHECK_FALSE(client.codec.write_blocked(call.id));
  CHECK(call.writable == 1);
  call.send_end();
  client.flush();
  CHECK(client.sent().ends_with("DATA 1 \"abcd\"\nDATA 1 \"ef\"\nDATA 1 \"\" END\n"));
}

TEST_CASE("a paused response keeps its window shut") {
  Settings small;
  small.stream_window = 1000;
  ClientRecord client(small);
  client.begin();
  ClientRecord::Call& call = client.get();
  client.sent();
  client.codec.pause(call.id);
  client.feed(reply(1, {}, 0) + data(1, std::string(800, 'x')));
  CHECK(client.sent().empty());
  client.codec.resume(call.id);
  client.flush();
  CHECK(client.sent() == "WINDOW_UPDATE 1 800\n");
}

TEST_CASE("an upgrade is an extended CONNECT, where the origin takes it (RFC 8441)") {
  ClientRecord client;
  client.begin(settings({{8, 1}}));
  ClientRecord::Call& call = client.open();
  call.request.upgrade = "websocket";
  call.request.headers.add("sec-websocket-key", "x");
  call.request.headers.add("sec-websocket-version", "13");
  call.send_head(true);
  client.flush();
  CHECK(client.sent() ==
        "HEADERS 1 :method=CONNECT :protocol=websocket :scheme=http "
        ":authority=origin :path=/ sec-websocket-version=13\n");
  SUBCASE("that is accepted") {
    client.feed(reply(1, {{"sec-websocket-protocol", "chat"}}, 0));
    CHECK(call.events() == "101  {sec-websocket-protocol: chat}\n");
    call.send_body("ping");
    client.feed(data(1, "pong"));
    CHECK(client.sent() == "DATA 1 \"ping\"\n");
    SUBCASE("the origin ends first") {
      client.feed(data(1, "", true));
      CHECK(call.events().ends_with("body pong\nend\n"));
      CHECK_FALSE(client.codec.idle());
      call.send_body("bye");
      call.send_end();
      client.flush();
      CHECK(client.sent() == "DATA 1 \"bye\" END\n");
    }
    SUBCASE("the client ends first") {
      call.send_end();
      client.feed(data(1, "", true));
      CHECK(call.events().ends_with("body pong\nend\n"));
    }
    CHECK(client.codec.idle());
  }
  SUBCASE("that is refused") {
    client.feed(headers(1, {{":status", "403"}}, kEndStream));
    CHECK(call.events() == "403  end\n");
    CHECK(client.sent() == "RST_STREAM 1 CANCEL\n");
    CHECK(client.codec.idle());
  }
}

TEST_CASE("an origin without extended CONNECT is not asked for it") {
  ClientRecord client;
  client.begin();
  ClientRecord::Call& call = client.get("GET", "websocket");
  CHECK(call.events() == "error upgrade_unsupported\n");
  CHECK(client.sent().empty());
  CHECK(client.codec.can_open());
}

TEST_CASE("the end of the connection ends every stream, sent or not") {
  ClientRecord client;
  client.begin();
  client.get();
  client.open();
  SUBCASE("its end") {
    client.codec.receive_eof();
  }
  SUBCASE("a break") {
    client.codec.fail(ErrorCode::OriginClosed);
  }
  CHECK(client.call(0).events() == "error origin_closed\n");
  CHECK(client.call(1).events() == "error origin_closed\n");
  CHECK(client.codec.idle());
  CHECK(client.codec.done());
  CHECK_FALSE(client.codec.can_open());
}

TEST_CASE("an origin that does not speak HTTP/2 is told apart") {
  ClientRecord client;
  client.flush();
  client.feed("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  CHECK(client.codec.done());
  CHECK_FALSE(client.codec.can_open());
}

TEST_CASE("a push is refused") {
  ClientRecord client;
  client.begin();
  client.get();
  client.sent();
  client.feed(frame(kPushPromise, kEndHeaders, 1, be32(2) + literals(get_fields())));
  CHECK(client.sent() == "GOAWAY last 0 PROTOCOL_ERROR\n");
}

TEST_CASE("a ping is pending until it is answered") {
  ClientRecord client;
  client.begin();
  client.codec.ping();
  client.flush();
  CHECK(client.sent() == "PING\n");
  CHECK(client.codec.ping_pending());
  client.feed(ping(std::string(8, '\0'), kAck));
  CHECK_FALSE(client.codec.ping_pending());
}

TEST_CASE("another stream may be opened from inside a callback") {
  ClientRecord client;
  client.begin(settings({{3, 1}}));
  bool again = true;
  client.when_over = [&](ClientRecord::Call&) {
    if (!std::exchange(again, false) || !client.codec.can_open()) return;
    client.open().send_head(true);
  };
  client.get();
  client.feed(reply(1));
  // The stream that ends counts until nghttp2 has forgotten it, which is behind the callback.
  CHECK(client.calls() == 1);
  CHECK(client.codec.can_open());
}

}  // namespace
}  // namespace tidegate::http::http2
