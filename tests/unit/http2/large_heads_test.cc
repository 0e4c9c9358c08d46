// SPDX-License-Identifier: Apache-2.0
// Header blocks that are long to send: whole, or an error that both ends hear of.
#include <doctest/doctest.h>

#include "base/limits.h"
#include "unit/http2/client_record.h"
#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

constexpr size_t kLong = 200 * 1024;           // more than nghttp2 sends by itself
constexpr size_t kLongest = kMostHeaderBytes;  // what the widest limits let in
constexpr size_t kTooLong = 2 * kLongest;  // with what stands around it, more than this codec sends

/// Fields of about `size` bytes in all.
FieldTexts fields_of(size_t size) {
  constexpr size_t kEach = 10 * 1000;
  FieldTexts fields;
  for (size_t i = 0; i * kEach < size; ++i) {
    fields.emplace_back("x-" + std::to_string(i), std::string(kEach, 'v'));
  }
  return fields;
}

void add(Headers& to, const FieldTexts& fields) {
  for (const auto& [name, value] : fields) to.add(to.arena().copy(name), to.arena().copy(value));
}

TEST_CASE("L15: a long response head goes out whole") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  for (const size_t size : {66 * 1000UL, kLong}) {
    CAPTURE(size);
    const uint32_t stream = size == kLong ? 3 : 1;
    if (stream == 3) server.feed(get(3));
    server.call(stream).answer(200, {}, fields_of(size));
    server.flush();
    const std::vector<Frame> sent = server.frames();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].fields.size() == 2 + fields_of(size).size());
    CHECK((sent[0].flags & kEndStream) != 0);
  }
  CHECK(server.codec.idle());
}

TEST_CASE("L15: what the widest limits accept can be sent, and what scripts add to it") {
  FieldTexts fields = fields_of(kLongest);
  fields.insert(fields.end(), 1000, {"x-added", std::string(1000, 'a')});
  SUBCASE("response") {
    ServerRecord server;
    server.begin();
    server.feed(get(1));
    server.call(1).answer(200, {}, fields);
    server.flush();
    while (server.codec.has_more()) server.flush();
    const std::vector<Frame> sent = server.frames();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].fields.size() == 2 + fields.size());
    CHECK(server.codec.idle());
  }
  SUBCASE("request") {
    ClientRecord client;
    client.begin();
    ClientRecord::Call& call = client.open();
    add(call.request.headers, fields);
    call.send_head(true);
    client.flush();
    while (client.codec.has_more()) client.flush();
    const std::vector<Frame> sent = client.frames();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].fields.size() == 4 + fields.size());
  }
}

TEST_CASE("L15: a response whose head is too long to send is reset, not left hanging") {
  ServerRecord server;
  server.begin();
  server.feed(get(1) + get(3));
  SUBCASE("head and body") {
    server.call(1).send_head(200, BodyKind::Streamed, 0, false, fields_of(kTooLong));
    server.call(1).send_body("body");
    server.flush();
    CHECK(server.call(1).events().ends_with("error internal\n"));
  }
  SUBCASE("a head that is all") {
    server.call(1).send_head(200, BodyKind::Sized, 0, true, fields_of(kTooLong));
    server.flush();
  }
  SUBCASE("an interim head") {
    server.call(1).interim(103, fields_of(kTooLong));
    server.flush();
    CHECK(server.call(1).events().ends_with("error internal\n"));
  }
  CHECK(server.sent() == "RST_STREAM 1 INTERNAL_ERROR\n");
  // The others are none the worse.
  server.call(3).answer(200);
  server.flush();
  CHECK(server.sent() == "HEADERS 3 :status=200 content-length=0 END\n");
  CHECK(server.codec.idle());
}

TEST_CASE("L15: trailers that are too long to send reset their stream") {
  ServerRecord server;
  server.begin();
  server.feed(get(1));
  server.call(1).send_head(200, BodyKind::Streamed, 0, false);
  server.call(1).send_body("body");
  server.call(1).send_end(fields_of(kTooLong));
  server.flush();
  CHECK(server.sent() == "HEADERS 1 :status=200\nDATA 1 \"body\"\nRST_STREAM 1 INTERNAL_ERROR\n");
  CHECK(server.codec.idle());
}

TEST_CASE("L15: a long request reaches its origin, and one that is too long is refused here") {
  ClientRecord client;
  client.begin();
  ClientRecord::Call& call = client.open();
  SUBCASE("long") {
    add(call.request.headers, fields_of(kLong));
    call.send_head(true);
    client.flush();
    const std::vector<Frame> sent = client.frames();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].fields.size() == 4 + fields_of(kLong).size());
    return;
  }
  SUBCASE("too long: the head") {
    add(call.request.headers, fields_of(kTooLong));
    call.send_head(true);
    client.flush();
    CHECK(client.sent() == "");  // the origin never heard of it
  }
  SUBCASE("too long: the head, with a body behind it") {
    add(call.request.headers, fields_of(kTooLong));
    call.send_head(false);
    call.send_body("body");
    client.flush();
    CHECK(client.sent() == "");
  }
  SUBCASE("too long: the trailers") {
    call.send_head(false);
    call.send_body("body");
    call.send_end(fields_of(kTooLong));
    client.flush();
    CHECK(client.sent().ends_with("DATA 1 \"body\"\nRST_STREAM 1 INTERNAL_ERROR\n"));
  }
  CHECK(call.events() == "error internal\n");
  CHECK(client.codec.idle());
  CHECK_FALSE(client.codec.done());
  client.get();
  client.flush();
  CHECK(client.sent().starts_with("HEADERS 3 "));
}

}  // namespace
}  // namespace tidegate::http::http2
