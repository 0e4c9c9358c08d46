// SPDX-License-Identifier: Apache-2.0
#include "http/http2/stream_ledger.h"

#include <doctest/doctest.h>

#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kStreamClosed = 5;

std::string open_post(uint32_t stream) {
  return headers(stream, post_fields());
}

/// The code of the breach in `bytes`, read at once and byte by byte.
uint32_t breach_in(const std::string& bytes, size_t streams = 100) {
  StreamLedger ledger(StreamLedger::Of::Client, streams);
  ledger.read(kMagic);
  const StreamLedger::Breach at_once = ledger.read(bytes);
  StreamLedger slow(StreamLedger::Of::Client, streams);
  slow.read(kMagic);
  StreamLedger::Breach in_bytes;
  for (size_t i = 0; i < bytes.size() && in_bytes.code == 0; ++i) {
    in_bytes = slow.read(std::string_view(bytes).substr(i, 1));
  }
  CHECK(in_bytes.code == at_once.code);
  return at_once.code;
}

TEST_CASE("H2: a client breaks no rule by what it may send, or by what nghttp2 sees itself") {
  for (const std::string& fine : {
           get(1) + get(3) + get(101),
           open_post(1) + data(1, "x") + data(1, "", true) + get(3),
           open_post(1) + get(3) + data(1, "x") + headers(1, {{"x", "y"}}, kEndStream),
           get(1) + rst_stream(1, kCancel) + window_update(1, 5),  // may have crossed
           get(5) + rst_stream(3, kCancel) + frame(kPriority, 0, 3, "12345"),
           data(7, "idle"),
           get(2) + data(2, "not a client's"),
           get(0),
           frame(kHeaders, 0, 1, "half") + frame(kContinuation, kEndHeaders, 1, "x") + get(3),
       }) {
    CHECK(breach_in(fine) == 0);
  }
}

TEST_CASE("H2: what follows the client's own END_STREAM or reset is a breach") {
  for (const std::string& more :
       {data(1, "x"), data(1, "", true), get(1), headers(1, {{"x", "y"}}, kEndStream)}) {
    CHECK(breach_in(get(1) + more) == kStreamClosed);
    CHECK(breach_in(open_post(1) + rst_stream(1, kCancel) + get(3) + more) == kStreamClosed);
    CHECK(breach_in(open_post(1) + data(1, "x", true) + more) == kStreamClosed);
    CHECK(breach_in(get(5) + more) == kProtocolError);
  }
  CHECK(breach_in(get(9) + get(3)) == kProtocolError);
  CHECK(breach_in(get(3) + get(9) + get(5)) == kProtocolError);
}

TEST_CASE("H2: within a header block every other frame is nghttp2's to refuse") {
  CHECK(breach_in(get(1) + frame(kHeaders, 0, 3, "half") + data(1, "x")) == 0);
}

TEST_CASE("H2: a breach stands behind what came before it") {
  StreamLedger ledger(StreamLedger::Of::Client, 100);
  const std::string before = std::string(kMagic) + settings() + get(1);
  const StreamLedger::Breach breach = ledger.read(before + data(1, "x"));
  CHECK(breach.at == before.size());
  ServerRecord server;
  answer_all(server);
  server.begin();
  server.feed(get(1) + get(3) + data(1, "x") + get(5));
  CHECK(server.has(3));
  CHECK_FALSE(server.has(5));
  CHECK(server.sent().ends_with("GOAWAY last 3 STREAM_CLOSED\n"));
}

TEST_CASE("H2: streams that the server reset take what was under way, however many they are") {
  constexpr size_t kStreams = 2;
  std::string many;
  // The client never ends them, and the ledger keeps room for a bounded number.
  for (uint32_t stream = 1; stream < 1000; stream += 2) many += open_post(stream);
  for (uint32_t stream = 1; stream < 1000; stream += 2) {
    CHECK(breach_in(many + data(stream, "x"), kStreams) == 0);
  }
  // One that is remembered is still judged.
  CHECK(breach_in(many + data(999, "x", true) + data(999, "y"), kStreams) == kStreamClosed);
}

TEST_CASE("H2: numbers passed over again and again are an error all the same") {
  std::string sparse;
  for (uint32_t stream = 3; stream < 400; stream += 4) sparse += get(stream);
  for (uint32_t stream = 1; stream < 390; stream += 4) {
    CHECK(breach_in(sparse + get(stream)) != 0);
  }
  CHECK(breach_in(sparse + get(397)) == kProtocolError);
}

TEST_CASE("H2: what follows an origin's own END_STREAM or reset is a breach, and nothing else") {
  const auto breach_of = [](const std::string& bytes) {
    StreamLedger ledger(StreamLedger::Of::Origin, 2);
    for (uint32_t stream = 1; stream <= 5; stream += 2) ledger.opened(stream);
    return ledger.read(settings() + bytes).code;
  };
  const std::string head = headers(3, {{":status", "200"}});
  const std::string whole = head + data(3, "x", true);
  for (const std::string& fine :
       {whole, head + head, rst_stream(3, kCancel) + rst_stream(3, kCancel), data(3, "x"),
        whole + window_update(3, 1) + rst_stream(3, kCancel), whole + headers(5, {}) + data(1, "x"),
        headers(7, {{":status", "200"}}, kEndStream) + data(7, "idle"), data(2, "even")}) {
    CHECK(breach_of(fine) == 0);
  }
  for (const std::string& more : {data(3, "x"), data(3, "", true), head, whole}) {
    CHECK(breach_of(whole + more) == kStreamClosed);
    CHECK(breach_of(headers(3, {{":status", "200"}}, kEndStream) + more) == kStreamClosed);
    CHECK(breach_of(rst_stream(3, kCancel) + data(1, "x") + more) == kStreamClosed);
  }
}

}  // namespace
}  // namespace tidegate::http::http2
