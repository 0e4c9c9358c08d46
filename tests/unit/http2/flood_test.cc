// SPDX-License-Identifier: Apache-2.0
// Peers that want to cost more than they pay. Each attack runs until the connection ends, within a
// number of frames, and what it makes the codec hold stays bounded.
#include <doctest/doctest.h>
#include <malloc.h>

#include <functional>

#include "unit/http2/client_record.h"
#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

// Of memory that an attack may bind; most of it are the recorded exchanges' arenas.
constexpr size_t kMost = 1024 * 1024;

size_t heap() {
  return mallinfo2().uordblks;
}

struct Attack {
  const char* what;
  size_t frames;                            // within which the connection ends
  std::function<std::string(uint32_t)> at;  // the next frames, `n` from 0
};

std::string repeat(const std::string& text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string describe_bytes(const std::string& frames) {
  return std::to_string(frames.size()) + " bytes, type " + std::to_string(frames[3]);
}

/// Feeds the attack in reads of 2 KiB; the number of calls of `at` that it took.
size_t run(ServerRecord& server, const Attack& attack) {
  size_t sent = 0;
  std::string read;
  while (!server.codec.done() && sent < 2 * attack.frames) {
    read.clear();
    while (read.size() < 2 * 1024 && sent < 2 * attack.frames) {
      read += attack.at(static_cast<uint32_t>(sent++));
    }
    server.feed(read);
  }
  return sent;
}

TEST_CASE("floods end with ENHANCE_YOUR_CALM, and bind no memory") {
  const std::string post = headers(1, post_fields());
  const std::vector<Attack> attacks{
      {"rapid reset (CVE-2023-44487)", 1000,
       [](uint32_t n) { return get(2 * n + 1) + rst_stream(2 * n + 1, kCancel); }},
      {"rapid reset that calls itself no error", 1000,
       [](uint32_t n) { return get(2 * n + 1) + rst_stream(2 * n + 1, kNoError); }},
      {"DATA of padding alone", 1000,
       [&](uint32_t n) { return n == 0 ? post : frame(kData, kPadded, 1, std::string(1, '\0')); }},
      {"resets that the server is made to send, by windows (MadeYouReset)", 1000,
       [](uint32_t n) {
         return headers(2 * n + 1, post_fields()) + window_update(2 * n + 1, 0x7fffffff);
       }},
      {"resets that the server is made to send, by malformed requests", 1000,
       [](uint32_t n) {
         return headers(2 * n + 1, {{":method", "GET"}}, kEndStream);
       }},
      {"SETTINGS", 5000, [](uint32_t) { return settings(); }},
      {"PING", 5000, [](uint32_t) { return ping(); }},
      {"PRIORITY", 5000,
       [](uint32_t n) { return frame(kPriority, 0, 2 * n + 1, be32(0) + "\x10"); }},
      {"unknown frames", 300, [](uint32_t) { return frame(0x42, 0, 0, std::string(10000, 'x')); }},
      {"DATA of streams that are over", 600,
       [](uint32_t n) { return n == 0 ? get(1) : data(1, std::string(5000, 'x')); }},
      {"WINDOW_UPDATE of one byte", 5000, [](uint32_t) { return window_update(0, 1); }},
      {"WINDOW_UPDATE of streams that are closed", 5000,
       [](uint32_t n) { return n == 0 ? get(1) : window_update(1, 1); }},
      {"empty DATA", 1000, [&](uint32_t n) { return n == 0 ? post : data(1, ""); }},
      {"empty CONTINUATIONs", 300,
       [](uint32_t n) {
         return n == 0 ? frame(kHeaders, 0, 1, literals(get_fields())) : frame(kContinuation, 0, 1);
       }},
      {"CONTINUATIONs without an end (CVE-2024-27316)", 100,
       [](uint32_t n) {
         const std::string fields = repeat(literals({{"x", std::string(100, 'y')}}), 100);
         return n == 0 ? frame(kHeaders, 0, 1, literals(get_fields()))
                       : frame(kContinuation, 0, 1, fields);
       }},
      {"empty fields by the thousand", 100,
       [](uint32_t n) {
         return frame(kHeaders, kEndStream | kEndHeaders, 2 * n + 1,
                      literals(get_fields()) + repeat(literals({{"a", ""}}), 3000));
       }},
      {"empty crumbs of a cookie by the thousand (H3)", 100,
       [](uint32_t n) {
         return frame(kHeaders, kEndStream | kEndHeaders, 2 * n + 1,
                      literals(get_fields()) + repeat(literals({{"cookie", ""}}), 3000));
       }},
  };
  for (const Attack& attack : attacks) {
    CAPTURE(std::string(attack.what));
    ServerRecord server;
    answer_all(server);
    server.begin();
    size_t most = 0;
    size_t before = heap();
    const Attack watched{attack.what, attack.frames, [&](uint32_t n) {
                           // What the record itself keeps is no fault of the codec.
                           if (n % 64 == 0) server.forget();
                           most = std::max(most, heap());
                           return attack.at(n);
                         }};
    const size_t frames = run(server, watched);
    CHECK(server.codec.done());
    CHECK(frames <= attack.frames);
    CHECK(most < before + kMost);
    CHECK(server.codec.idle());
  }
}

TEST_CASE("a small block that unfolds into much (an HPACK bomb) is dropped as it comes") {
  // One large entry goes into the table, then is named again and again in a byte each.
  const std::string value(4000, 'x');
  std::string first = "\x40";
  first += hpack_integer(0, 7, 1) + "b" + hpack_integer(0, 7, value.size()) + value;
  ServerRecord server;
  answer_all(server);
  server.begin();
  server.feed(frame(kHeaders, kEndStream | kEndHeaders, 1, literals(get_fields()) + first));
  CHECK(server.sent() == "HEADERS 1 :status=200 content-length=0 END\n");
  const size_t before = heap();
  size_t most = 0;
  uint32_t stream = 3;
  for (; stream < 99 && !server.codec.done(); stream += 2) {
    server.feed(frame(kHeaders, kEndStream | kEndHeaders, stream,
                      literals(get_fields()) + std::string(16000, '\xbe')));
    most = std::max(most, heap());
  }
  CHECK(stream == 5);
  CHECK_FALSE(server.has(3));
  CHECK(server.sent() == "GOAWAY last 3 ENHANCE_YOUR_CALM\n");
  CHECK(most < before + kMost);  // 64 MB if it were unfolded
}

TEST_CASE("H3: a request in many crumbs, or fields, leaves nothing behind on its connection") {
  Limits limits;
  limits.header_count = 1500;
  for (const std::string name : {"cookie", "x"}) {
    CAPTURE(name);
    size_t before = 0;
    // The first one fills what the thread keeps for all connections.
    for (int connection = 0; connection < 2; ++connection) {
      ServerRecord server({}, limits);
      answer_all(server);
      server.begin();
      server.feed(get(1));
      server.forget();
      before = heap();
      server.feed(frame(kHeaders, kEndStream | kEndHeaders, 3,
                        literals(get_fields()) + repeat(literals({{name, ""}}), 1400)));
      REQUIRE(server.sent().ends_with("HEADERS 3 :status=200 content-length=0 END\n"));
      server.forget();
      if (connection == 1) CHECK(heap() < before + 48 * 1024);
    }
  }
}

TEST_CASE("acknowledgements that the client does not read are bounded") {
  for (const std::string& flood : {ping(), settings()}) {
    ServerRecord server;
    server.begin();
    server.flushes = false;
    const size_t before = heap();
    const std::string read = repeat(flood, 300);
    for (int i = 0; i < 100; ++i) {
      server.feed(read);
      server.flush(true);
    }
    CHECK(heap() < before + kMost);
    server.flush();
    CHECK(server.sent().ends_with("GOAWAY last 0 ENHANCE_YOUR_CALM\n"));
    CHECK(server.codec.done());
  }
}

TEST_CASE("streams whose windows stay shut hold what was sent, and no more streams come") {
  ServerRecord server;
  server.begin();
  server.feed(settings({{4, 0}}));
  const std::string body(10000, 'x');
  const size_t before = heap();
  for (uint32_t i = 0; i < 100; ++i) {
    server.feed(get(2 * i + 1));
    server.call(2 * i + 1).answer(200, body);
    server.flush();
  }
  server.feed(get(201));
  CHECK(server.sent().ends_with("GOAWAY last 199 PROTOCOL_ERROR\n"));
  CHECK(heap() < before + 100 * (body.size() + 16 * 1024));
}

TEST_CASE("honest clients are not taken for a flood") {
  ServerRecord server;
  answer_all(server);
  server.begin();
  uint32_t stream = 1;
  SUBCASE("a ping in each read, for long") {
    for (int i = 0; i < 50000; ++i) server.feed(ping());
  }
  SUBCASE("a third of all requests cancelled, for long") {
    for (int i = 0; i < 5000; ++i) {
      server.feed(get(stream) + get(stream + 2));
      server.feed(headers(stream + 4, post_fields()) + rst_stream(stream + 4, kCancel));
      stream += 6;
      if (i % 100 == 0) server.forget();
    }
  }
  SUBCASE("a hundred requests at a time, all cancelled, once") {
    std::string read;
    for (; stream < 200; stream += 2) read += headers(stream, post_fields());
    server.feed(read);
    read.clear();
    for (uint32_t i = 1; i < stream; i += 2) read += rst_stream(i, kCancel);
    server.feed(read);
  }
  SUBCASE("a download whose every frame is answered by two window updates") {
    server.when_end = nullptr;
    server.feed(get(stream));
    const std::string body(1 << 14, 'x');
    server.call(stream).send_head(200, BodyKind::Streamed, 0, false);
    for (int i = 0; i < 5000; ++i) {
      server.call(stream).send_body(body);
      server.flush();
      server.feed(window_update(stream, 1 << 14) + window_update(0, 1 << 14));
      server.frames();
    }
    server.call(stream).send_end();
    server.flush();
  }
  SUBCASE("many small messages on one stream") {
    server.when_end = nullptr;
    server.feed(headers(stream, post_fields()));
    const std::string read = repeat(data(stream, "01234567890123456789"), 500);
    for (int i = 0; i < 200; ++i) server.feed(read);
    server.feed(data(stream, "", true));
    server.call(stream).answer(200);
    server.flush();
  }
  CHECK_FALSE(server.codec.done());
  server.forget();
  server.frames();
  server.when_end = [](ServerRecord::Call& call) { call.answer(200); };
  server.feed(get(100001));
  CHECK(server.sent() == "HEADERS 100001 :status=200 content-length=0 END\n");
}

TEST_CASE("H15: an origin's floods end its connection") {
  const std::string head = headers(1, {{":status", "200"}});
  const std::string interim = headers(1, {{":status", "103"}});
  const std::string trailers = headers(1, {{"x", "y"}}, kEndStream);
  const std::string padding = frame(kData, kPadded, 1, std::string(3, '\2'));
  // What comes once, and what comes again and again.
  const std::vector<std::pair<std::string, std::string>> floods{
      {"", ping()},
      {"", settings()},
      {"", window_update(0, 1)},
      {"", window_update(1, 1)},
      {"", frame(kPriority, 0, 1, be32(0) + "\x10")},
      {"", rst_stream(1, kCancel)},
      {"", interim},
      {head, data(1, "")},
      {head, padding},
      {head + data(1, "x"), data(1, "") + padding},
      {head, headers(1, {{"x", "y"}})},
      {head + trailers, headers(1, {{"x", "y"}})},
      {"", frame(kHeaders, 0, 1, literals({{":status", "200"}})) +
               repeat(frame(kContinuation, 0, 1), 20)},
  };
  for (const auto& [once, flood] : floods) {
    CAPTURE(describe_bytes(once + flood));
    ClientRecord client;
    client.begin();
    client.get();
    client.get();
    client.feed(once);
    const std::string read = repeat(flood, 1000);
    for (int i = 0; i < 10 && !client.codec.done(); ++i) client.feed(read);
    CHECK(client.codec.done());
    CHECK(client.call(1).events() == "error bad_response\n");
    const bool behind_the_end = once == head + trailers;
    const char* const why = behind_the_end ? "STREAM_CLOSED" : "ENHANCE_YOUR_CALM";
    CHECK(client.sent().find(why) != std::string::npos);
  }
}

TEST_CASE("H15: a promise is an error, however early it comes") {
  ClientRecord client;
  client.begin();
  client.get();
  client.feed(frame(kSettings, kAck, 0));
  client.feed(repeat(frame(kPushPromise, kEndHeaders, 1, be32(2) + literals(get_fields())), 10));
  CHECK(client.codec.done());
  CHECK(client.sent().find("PROTOCOL_ERROR") != std::string::npos);
}

TEST_CASE("H15: honest origins are not taken for a flood") {
  ClientRecord client;
  client.begin();
  for (uint32_t i = 0; i < 3000; ++i) {
    const uint32_t stream = 2 * i + 1;
    ClientRecord::Call& call = client.get();
    // An empty frame between the body and the trailers, and one between two parts of the body.
    client.feed(headers(stream, {{":status", "200"}}) + data(stream, "some") + data(stream, "") +
                data(stream, "more") + data(stream, "") +
                headers(stream, {{"grpc-status", "0"}}, kEndStream));
    REQUIRE(call.events().ends_with("end {grpc-status: 0}\n"));
    client.frames();
  }
  CHECK_FALSE(client.codec.done());
}

TEST_CASE("an origin that resets every stream ends its connection") {
  ClientRecord client;
  client.begin();
  uint32_t stream = 1;
  while (client.codec.can_open() && stream < 2000) {
    client.get();
    client.feed(rst_stream(stream, kInternalError));
    stream += 2;
  }
  CHECK(stream < 1000);
  CHECK(client.sent().ends_with("ENHANCE_YOUR_CALM\n"));
}

}  // namespace
}  // namespace tidegate::http::http2
