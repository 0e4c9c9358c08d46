// SPDX-License-Identifier: Apache-2.0
// RFC 9113 3 to 6: preface, framing, streams, and each type of frame.
#include <doctest/doctest.h>

#include "unit/http2/conformance.h"
#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

const std::string kEmpty;
std::string post(uint32_t stream, uint8_t flags = 0) {
  return headers(stream, post_fields(), flags);
}
std::string padded(uint8_t pad, std::string_view bytes, size_t padding) {
  return std::string(1, static_cast<char>(pad)) + std::string(bytes) + std::string(padding, '\0');
}
std::string priority_fields(uint32_t on, uint8_t weight = 15) {
  return be32(on) + static_cast<char>(weight);
}

TEST_CASE("the connection preface (RFC 9113 3.4)") {
  for (const std::string wrong :
       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "\x16\x03\x01"}) {
    ServerRecord server;
    server.flush();
    server.frames();
    server.feed(wrong + std::string(64, 'x'));
    CHECK(server.sent() == "GOAWAY last 0 PROTOCOL_ERROR\n");
    CHECK(server.codec.done());
    CHECK(server.calls() == 0);
  }
  SUBCASE("whatever comes first but SETTINGS is an error") {
    for (const std::string& first : {ping(), get(1), window_update(0, 1)}) {
      ServerRecord server;
      server.flush();
      server.frames();
      server.feed(std::string(kMagic) + first);
      CHECK(server.sent() == "GOAWAY last 0 PROTOCOL_ERROR\n");
    }
  }
  SUBCASE("an acknowledgement is no SETTINGS to begin with") {
    ServerRecord server;
    server.flush();
    server.frames();
    server.feed(std::string(kMagic) + frame(kSettings, kAck, 0));
    CHECK(server.sent() == "GOAWAY last 0 PROTOCOL_ERROR\n");
  }
  SUBCASE("the server's SETTINGS come first, and the client's are acknowledged") {
    ServerRecord server;
    server.feed(std::string(kMagic) + settings());
    const std::vector<Frame> sent = server.frames();
    REQUIRE(sent.size() == 3);
    CHECK(sent[0].type == kSettings);
    CHECK(sent[0].flags == 0);
    CHECK(sent[1].type == kSettings);
    CHECK(sent[1].flags == kAck);
    CHECK(describe(sent[2]) == "WINDOW_UPDATE 983041");
  }
}

TEST_CASE("framing (RFC 9113 4)") {
  const std::string long_data(16385, 'x');
  check_cases({
      {"4.1", "a frame of a type nobody knows", frame(0x42, 0xff, 0, "what") + get(1), ok()},
      {"4.1", "the same on a stream that is idle", frame(0x42, 0, 99, "what") + get(1), ok()},
      {"4.1", "flags that mean nothing on the frame", frame(kPing, 0xfe, 0, "12345678"),
       "PING ACK\n"},
      {"4.1", "the reserved bit", frame(kPing, 0, 0x80000000, "12345678"), "PING ACK\n"},
      {"4.2", "DATA over the maximum", post(1) + frame(kData, 0, 1, long_data),
       connection_error("FRAME_SIZE_ERROR", 1)},
      {"4.2", "HEADERS over the maximum", frame(kHeaders, 5, 1, long_data),
       connection_error("FRAME_SIZE_ERROR")},
      {"4.2", "an unknown type over the maximum", frame(0x42, 0, 0, long_data),
       connection_error("FRAME_SIZE_ERROR")},
      {"4.2", "DATA of exactly the maximum",
       headers(1, post_fields()) + frame(kData, kEndStream, 1, long_data.substr(1)), ok()},
      {"4.3", "a field block that can not be decompressed",
       frame(kHeaders, kEndStream | kEndHeaders, 1, "\xff\xff\xff\xff\xff\xff\xff\xff"),
       connection_error("COMPRESSION_ERROR", 1)},
      {"RFC 7541 2.3.3", "an index into nothing",
       frame(kHeaders, kEndStream | kEndHeaders, 1, hpack_integer(0x80, 7, 70)),
       connection_error("COMPRESSION_ERROR", 1)},
      {"RFC 7541 6.1", "index zero", frame(kHeaders, kEndStream | kEndHeaders, 1, "\x80"),
       connection_error("COMPRESSION_ERROR", 1)},
      {"RFC 7541 6.3", "a table larger than allowed",
       frame(kHeaders, kEndStream | kEndHeaders, 1,
             hpack_integer(0x20, 5, 4097) + literals(get_fields())),
       connection_error("COMPRESSION_ERROR", 1)},
      {"RFC 7541 4.2", "a change of the table behind a field",
       frame(kHeaders, kEndStream | kEndHeaders, 1,
             literals(get_fields()) + hpack_integer(0x20, 5, 0)),
       connection_error("COMPRESSION_ERROR", 1)},
      {"RFC 7541 5.2", "Huffman padding longer than seven bits",
       frame(kHeaders, kEndStream | kEndHeaders, 1,
             literals(get_fields()) + std::string("\x00\x01x\x84\x1f\xff\xff\xff", 8)),
       connection_error("COMPRESSION_ERROR", 1)},
      {"4.3", "a block cut off within a field",
       frame(kHeaders, kEndStream | kEndHeaders, 1, literals(get_fields()).substr(0, 20)),
       connection_error("COMPRESSION_ERROR", 1)},
  });
}

TEST_CASE("the states of streams (RFC 9113 5.1)") {
  check_cases({
      {"5.1", "idle: DATA", data(1, "x"), connection_error("PROTOCOL_ERROR")},
      {"5.1", "idle: RST_STREAM", rst_stream(1, kCancel), connection_error("PROTOCOL_ERROR")},
      {"5.1", "idle: WINDOW_UPDATE", window_update(1, 1), connection_error("PROTOCOL_ERROR")},
      {"5.1", "idle: CONTINUATION", frame(kContinuation, kEndHeaders, 1, literals(get_fields())),
       connection_error("PROTOCOL_ERROR")},
      {"5.1", "idle: PRIORITY is allowed", frame(kPriority, 0, 1, priority_fields(0)) + get(1),
       ok()},
      {"5.1", "H2: closed by both ends: DATA", get(1), ok() + connection_error("STREAM_CLOSED", 1),
       data(1, "x") + get(3)},
      {"5.1", "H2: closed by both ends: HEADERS", get(1),
       ok() + connection_error("STREAM_CLOSED", 1), get(1) + get(3)},
      {"5.1", "closed: WINDOW_UPDATE is ignored", get(1), ok() + ok(3),
       window_update(1, 1) + get(3)},
      {"5.1", "closed: RST_STREAM is ignored", get(1), ok() + ok(3),
       rst_stream(1, kCancel) + get(3)},
      {"5.1", "closed: PRIORITY is allowed", get(1), ok() + ok(3),
       frame(kPriority, 0, 1, priority_fields(0)) + get(3)},
      {"5.1.1", "an even number", get(2), connection_error("PROTOCOL_ERROR")},
      {"5.1.1", "H2: a number below one that was used", get(5),
       ok(5) + connection_error("PROTOCOL_ERROR", 5), get(3) + get(7)},
      {"5.1.1", "numbers may be left out", get(1) + get(101), ok() + ok(101)},
      {"5.3", "a stream that depends on itself, by PRIORITY",
       frame(kPriority, 0, 3, priority_fields(3)) + get(1), ok()},
      {"5.3", "priorities of RFC 7540 are ignored",
       frame(kPriority, 0, 3, priority_fields(0x80000001)) +
           frame(kHeaders, kEndStream | kEndHeaders | kHasPriority, 1,
                 priority_fields(0) + literals(get_fields())),
       ok()},
      {"5.5", "an unknown frame within a header block",
       frame(kHeaders, kEndStream, 1, literals(get_fields())) + frame(0x42, 0, 0),
       connection_error("PROTOCOL_ERROR", 1)},
  });
}

TEST_CASE("half-closed streams take no more of a message (RFC 9113 5.1)") {
  for (const std::string& more : {data(1, "x"), headers(1, {{"x", "y"}}, kEndStream)}) {
    ServerRecord server;
    server.begin();
    server.feed(get(1));
    server.feed(more);
    CHECK(server.sent() == "GOAWAY last 1 STREAM_CLOSED\n");
    CHECK(server.call(1).events().ends_with("end\nerror client_closed\n"));
  }
}

TEST_CASE("no more streams than were announced (RFC 9113 5.1.2)") {
  Settings few;
  few.max_concurrent_streams = 2;
  ServerRecord server(few);
  server.begin();
  server.feed(get(1) + get(3) + get(5));
  CHECK(server.sent() == "GOAWAY last 3 PROTOCOL_ERROR\n");

  ServerRecord early(few);
  early.feed(std::string(kMagic) + settings() + get(1) + get(3) + get(5));
  CHECK(early.sent() == "RST_STREAM 5 REFUSED_STREAM\n");  // the limit was not acknowledged yet
}

TEST_CASE("DATA (RFC 9113 6.1)") {
  check_cases({
      {"6.1", "on the connection", frame(kData, 0, 0, "x"), connection_error("PROTOCOL_ERROR")},
      {"6.1", "padding", post(1) + frame(kData, kPadded | kEndStream, 1, padded(5, "abc", 5)),
       ok()},
      {"6.1", "nothing but padding",
       post(1) + frame(kData, kPadded | kEndStream, 1, padded(4, "", 4)), ok()},
      {"6.1", "padding as long as the payload",
       post(1) + frame(kData, kPadded | kEndStream, 1, padded(4, "", 3)),
       connection_error("PROTOCOL_ERROR", 1)},
      {"6.1", "padding longer than the payload",
       post(1) + frame(kData, kPadded | kEndStream, 1, padded(200, "abc", 5)),
       connection_error("PROTOCOL_ERROR", 1)},
      {"6.1", "no room for the padding's length", post(1) + frame(kData, kPadded | kEndStream, 1),
       connection_error("PROTOCOL_ERROR", 1)},
  });
}

TEST_CASE("HEADERS and CONTINUATION (RFC 9113 6.2, 6.10)") {
  const std::string block = literals(get_fields());
  const std::string first = frame(kHeaders, kEndStream, 1, block.substr(0, 10));
  check_cases({
      {"6.2", "on the connection", headers(0, get_fields(), kEndStream),
       connection_error("PROTOCOL_ERROR")},
      {"6.2", "padding",
       frame(kHeaders, kEndStream | kEndHeaders | kPadded, 1, padded(3, block, 3)), ok()},
      {"6.2", "padding and priority",
       frame(kHeaders, kEndStream | kEndHeaders | kPadded | kHasPriority, 1,
             padded(3, priority_fields(0) + block, 3)),
       ok()},
      {"6.2", "padding longer than the payload",
       frame(kHeaders, kEndStream | kEndHeaders | kPadded, 1, padded(255, "abc", 0)),
       connection_error("PROTOCOL_ERROR")},
      {"6.2", "priority without room for it",
       frame(kHeaders, kEndStream | kEndHeaders | kHasPriority, 1, "abc"),
       connection_error("FRAME_SIZE_ERROR")},
      {"6.10", "a block in pieces",
       first + frame(kContinuation, 0, 1, block.substr(10, 10)) + frame(kContinuation, 0, 1) +
           frame(kContinuation, kEndHeaders, 1, block.substr(20)),
       ok()},
      {"6.10", "another frame within a block", first + ping(),
       connection_error("PROTOCOL_ERROR", 1)},
      {"6.10", "another stream's CONTINUATION",
       first + frame(kContinuation, kEndHeaders, 3, block.substr(10)),
       connection_error("PROTOCOL_ERROR", 1)},
      {"6.10", "another HEADERS within a block", first + get(3),
       connection_error("PROTOCOL_ERROR", 1)},
      {"6.10", "CONTINUATION on the connection",
       first + frame(kContinuation, kEndHeaders, 0, block.substr(10)),
       connection_error("PROTOCOL_ERROR", 1)},
      {"6.10", "CONTINUATION behind a block that had ended",
       headers(1, post_fields()) + frame(kContinuation, kEndHeaders, 1, "x"),
       connection_error("PROTOCOL_ERROR", 1)},
  });
}

TEST_CASE("PRIORITY and RST_STREAM (RFC 9113 6.3, 6.4)") {
  check_cases({
      {"6.3", "PRIORITY on the connection", frame(kPriority, 0, 0, priority_fields(1)),
       connection_error("PROTOCOL_ERROR")},
      {"6.3", "PRIORITY of another size", frame(kPriority, 0, 1, "abcd"),
       connection_error("FRAME_SIZE_ERROR")},
      {"6.4", "RST_STREAM on the connection", rst_stream(0, kCancel),
       connection_error("PROTOCOL_ERROR")},
      {"6.4", "RST_STREAM of another size", post(1) + frame(kRstStream, 0, 1, "abc"),
       connection_error("FRAME_SIZE_ERROR", 1)},
      {"6.4", "a request that is reset is not answered", post(1) + rst_stream(1, kCancel) + get(3),
       ok(3)},
      {"7", "an error code that nobody knows", post(1) + rst_stream(1, 0xdeadbeef) + get(3), ok(3)},
  });
}

TEST_CASE("SETTINGS (RFC 9113 6.5)") {
  check_cases({
      {"6.5", "on a stream", frame(kSettings, 0, 1), connection_error("PROTOCOL_ERROR")},
      {"6.5", "an acknowledgement with a payload", frame(kSettings, kAck, 0, "abcdef"),
       connection_error("FRAME_SIZE_ERROR")},
      {"6.5", "a size that is no multiple of six", frame(kSettings, 0, 0, "abcde"),
       connection_error("FRAME_SIZE_ERROR")},
      {"6.5.2", "ENABLE_PUSH of two", settings({{2, 2}}), connection_error("PROTOCOL_ERROR")},
      {"6.5.2", "INITIAL_WINDOW_SIZE over 2^31 - 1", settings({{4, 0x80000000}}),
       connection_error("FLOW_CONTROL_ERROR")},
      {"6.5.2", "MAX_FRAME_SIZE below 2^14", settings({{5, 16383}}),
       connection_error("PROTOCOL_ERROR")},
      {"6.5.2", "MAX_FRAME_SIZE over 2^24 - 1", settings({{5, 16777216}}),
       connection_error("PROTOCOL_ERROR")},
      {"6.5.2", "a setting that nobody knows", settings({{0x9999, 1}}) + get(1), ok()},
      {"6.5.2", "the same setting twice, the last of which counts",
       settings({{4, 10}, {4, 0}}) + get(1), ok()},
      {"RFC 8441 3", "ENABLE_CONNECT_PROTOCOL of two", settings({{8, 2}}),
       connection_error("PROTOCOL_ERROR")},
      {"RFC 9218 2.1", "NO_RFC7540_PRIORITIES of two", settings({{9, 2}}),
       connection_error("PROTOCOL_ERROR")},
      {"6.5.3", "an acknowledgement of nothing", frame(kSettings, kAck, 0),
       connection_error("PROTOCOL_ERROR")},
  });
}

TEST_CASE("PUSH_PROMISE, PING and GOAWAY (RFC 9113 6.6 to 6.8)") {
  check_cases({
      {"6.6", "a client does not push",
       post(1) + frame(kPushPromise, kEndHeaders, 1, be32(2) + literals(get_fields())),
       connection_error("PROTOCOL_ERROR", 1)},
      {"6.7", "PING", ping("abcdefgh"), "PING ACK\n"},
      {"6.7", "an acknowledgement is not answered", ping("abcdefgh", kAck) + get(1), ok()},
      {"6.7", "on a stream", frame(kPing, 0, 1, "12345678"), connection_error("PROTOCOL_ERROR")},
      {"6.7", "of another size", frame(kPing, 0, 0, "1234567"),
       connection_error("FRAME_SIZE_ERROR")},
      {"6.8", "GOAWAY on a stream", frame(kGoaway, 0, 1, be32(0) + be32(0)),
       connection_error("PROTOCOL_ERROR")},
      {"6.8", "GOAWAY too short", frame(kGoaway, 0, 0, be32(0)),
       connection_error("FRAME_SIZE_ERROR")},
  });
}

TEST_CASE("PING's eight bytes come back (RFC 9113 6.7)") {
  ServerRecord server;
  server.begin();
  server.feed(ping("abcdefgh"));
  const std::vector<Frame> sent = server.frames();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].payload == "abcdefgh");
}

TEST_CASE("a client that says GOAWAY still gets its answers (RFC 9113 6.8)") {
  ServerRecord server;
  server.begin();
  server.feed(get(1) + goaway(0, kNoError));
  CHECK_FALSE(server.codec.done());
  server.call(1).answer(200, "late");
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200 content-length=4\nDATA 1 \"late\" END\n");
  CHECK(server.codec.done());
}

TEST_CASE("WINDOW_UPDATE (RFC 9113 6.9)") {
  check_cases({
      {"6.9", "by zero on the connection", window_update(0, 0), connection_error("PROTOCOL_ERROR")},
      {"6.9", "of another size", frame(kWindowUpdate, 0, 0, "abc"),
       connection_error("FRAME_SIZE_ERROR")},
      {"6.9.1", "the connection's window past 2^31 - 1", window_update(0, 0x7fffffff),
       connection_error("FLOW_CONTROL_ERROR")},
      {"6.9", "the reserved bit", window_update(0, 0x80000001) + get(1), ok()},
  });
}

TEST_CASE("a stream's window that breaks ends the stream (RFC 9113 6.9)") {
  SUBCASE("past 2^31 - 1") {
    ServerRecord server;
    server.begin();
    server.feed(post(1) + window_update(1, 0x7fffffff));
    CHECK(server.sent() == "RST_STREAM 1 FLOW_CONTROL_ERROR\n");
    CHECK(server.call(1).events().ends_with("error bad_request\n"));
    CHECK_FALSE(server.codec.done());
  }
  SUBCASE("by SETTINGS, of all streams") {
    ServerRecord server;
    server.begin();
    server.feed(post(1) + window_update(1, 0x7fffffff - 65535) + settings({{4, 65536}}));
    // nghttp2 ends the streams where the RFC would end the connection (6.9.2).
    CHECK(server.sent() == "RST_STREAM 1 FLOW_CONTROL_ERROR\n");
  }
}

TEST_CASE("what a client sends beyond its windows is an error (RFC 9113 6.9.1)") {
  Settings small;
  small.stream_window = 1000;
  ServerRecord server(small);
  server.begin();
  server.feed(post(1));
  CHECK(server.codec.pause(1));
  server.feed(data(1, std::string(1000, 'x')));
  CHECK(server.sent().empty());
  server.feed(data(1, "x"));
  CHECK(server.sent() == "RST_STREAM 1 FLOW_CONTROL_ERROR\n");
}

}  // namespace
}  // namespace tidegate::http::http2
