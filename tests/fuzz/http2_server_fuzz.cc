// SPDX-License-Identifier: Apache-2.0
// The input is what a client sends on one HTTP/2 connection behind its preface, as short frames.
// Whatever it is:
//
// - the events and answers do not depend on how the bytes are split;
// - an exchange hears one head, one end, and nothing behind an end but an error;
// - a request that was understood is understood the same once the client codec has sent it on;
// - when the connection ends, every exchange has heard so, and nothing is left.
#include <map>
#include <string>

#include "fuzz/require.h"
#include "fuzz/short_frames.h"
#include "fuzz/splits.h"
#include "unit/http2/client_record.h"
#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

using fuzz::require;
using fuzz::require_equal;

/// What of a request every hop is to see.
std::string meaning(const RequestHead& head, const std::string& body) {
  return http1::describe_head(head) + "\n" + body + "\n" + http1::describe_fields(head.trailers);
}

void forward(ClientRecord& client, RequestHead& head, const std::string& body) {
  client.begin(settings({{8, 1}, {4, 1 << 30}}) + window_update(0, 1 << 30));
  ClientRecord::Call& call = client.open();
  const bool end = head.body == BodyKind::None;
  client.codec.send_head(call.id, head, end);
  if (!end) {
    client.codec.send_body(call.id, body);
    client.codec.send_end(call.id, head.trailers);
  }
  client.codec.produce(false);
}

void check_round_trip(RequestHead& head, const std::string& body) {
  if (head.method == Method::Connect) return;  // never forwarded
  Limits wide;
  wide.header_bytes *= 2;
  ClientRecord client({}, wide);
  forward(client, head, body);
  ServerRecord next({}, wide);
  std::string again;
  bool ended = false;
  next.when_body = [&](ServerRecord::Call&, std::string_view bytes) { again.append(bytes); };
  next.when_end = [&](ServerRecord::Call&) { ended = true; };
  next.begin();
  next.feed(http1::take_output(client.output));
  require(next.calls() == 1 && ended, "what is forwarded is one whole request");
  // The field may have said so already, in its place among others.
  for (Headers* headers : {&head.headers, &next.call(1).head.headers}) {
    headers->remove(HeaderId::ContentLength);
    const std::string_view host = headers->get(HeaderId::Host);
    headers->remove(HeaderId::Host);
    headers->add(HeaderId::Host, host);
    headers->remove(HeaderId::Te);
    headers->remove(HeaderId::Http2Settings);
    if (!head.upgrade.empty()) headers->remove(HeaderId::SecWebSocketKey);
    if (!head.upgrade.empty()) headers->remove(HeaderId::SecWebSocketAccept);
  }
  RequestHead& received = next.call(1).head;
  received.scheme = head.scheme;  // the connection's own
  require_equal(meaning(received, again), meaning(head, body), "a request keeps its meaning");
}

/// A connection that answers every request.
class Connection {
 public:
  explicit Connection(bool forwards) {
    server_.flushes = false;
    server_.when_body = [this](ServerRecord::Call& call, std::string_view bytes) {
      require(heads_[call.id] == 1 && ends_[call.id] == 0, "a body stands between head and end");
      bodies_[call.id].append(bytes);
    };
    server_.when_head = [this](ServerRecord::Call& call) {
      require(++heads_[call.id] == 1, "one head");
    };
    server_.when_end = [this, forwards](ServerRecord::Call& call) {
      require(++ends_[call.id] == 1, "one end");
      if (forwards) check_round_trip(call.head, bodies_[call.id]);
      call.send_head(200, BodyKind::Streamed, 0, false, {{"x", "y"}});
      call.send_body("answer");
      call.send_end({{"grpc-status", "0"}});
    };
    server_.when_error = [this](ServerRecord::Call& call, ErrorCode code) {
      require(++errors_[call.id] == 1, "one error");
      call.answer(tidegate::describe(code).status);
    };
    server_.feed(client_preface());
    server_.flush();
  }

  void feed(std::string_view bytes) { server_.feed(bytes); }

  /// `goodbye`: the client said so. Then nghttp2 stops reading, once nothing runs, at the next read.
  std::string finish(bool goodbye) {
    server_.flush();
    server_.flush();
    std::string result = server_.events();
    if (!goodbye) result += server_.sent();
    server_.codec.receive_eof();
    require(server_.codec.idle() && server_.codec.done(), "nothing outlives the connection");
    const std::string events = server_.events();
    server_.feed(get(99));
    require(server_.events() == events, "nothing is heard after the end");
    return result;
  }

 private:
  ServerRecord server_;
  std::map<StreamId, std::string> bodies_;
  std::map<StreamId, int> heads_;
  std::map<StreamId, int> ends_;
  std::map<StreamId, int> errors_;
};

std::string run(std::string_view bytes, uint32_t salt) {
  Connection connection(false);
  for (const std::string_view piece : fuzz::split(bytes, salt)) connection.feed(piece);
  return connection.finish(fuzz::has_frame(bytes, kGoaway));
}

void check(std::string_view bytes) {
  Connection connection(true);
  connection.feed(bytes);
  const std::string whole = connection.finish(fuzz::has_frame(bytes, kGoaway));
  require_equal(run(bytes, 0), whole, "events do not depend on splits");
  require_equal(run(bytes, 1), whole, "events do not depend on splits");
}

}  // namespace
}  // namespace tidegate::http::http2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidegate::http::http2::check(
      tidegate::fuzz::long_frames({reinterpret_cast<const char*>(data), size}));
  return 0;
}
