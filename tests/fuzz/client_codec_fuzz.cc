// SPDX-License-Identifier: Apache-2.0
// The input is what an origin sends in answer to one request, which is tried as GET, as HEAD and as
// an upgrade. Whatever it is:
//
// - the events do not depend on how it is split;
// - the stream is over once the origin has closed, by an end or by an error but never by both;
// - a response that was understood is understood the same once the server codec has sent it on.
#include <string>

#include "fuzz/require.h"
#include "fuzz/splits.h"
#include "http/http1/server_codec.h"
#include "unit/http1/client_record.h"

namespace tidegate::http::http1 {
namespace {

using fuzz::require;
using fuzz::require_equal;

struct Request {
  std::string_view method;
  std::string_view upgrade;
};

constexpr uint64_t kFramingFields =
    header_bit(HeaderId::Connection) | header_bit(HeaderId::ContentLength) |
    header_bit(HeaderId::KeepAlive) | header_bit(HeaderId::ProxyConnection) |
    header_bit(HeaderId::TransferEncoding) | header_bit(HeaderId::Upgrade);

std::string fields_passed_on(const Headers& headers) {
  std::string text;
  for (const HeaderField& field : headers) {
    if ((header_bit(field.id()) & kFramingFields) != 0) continue;
    text.append(field.name()).append(": ").append(field.value()).append("\n");
  }
  return text;
}

/// Receives a response, whole or in part.
class Attempt final : public ResponseReceiver {
 public:
  explicit Attempt(Arena& arena) : head(arena) {}

  ResponseHead& begin_response() override { return head; }
  void on_response_interim() override {}
  void on_response_head(bool end) override {
    begun = true;
    over = end;
  }
  void on_response_body(std::string_view bytes) override { body.append(bytes); }
  void on_response_end() override { over = true; }
  void on_response_error(ErrorCode) override { failed = true; }

  /// What of a response every hop is to see. (A reason that is empty is filled in.)
  std::string meaning() const {
    std::string text = std::to_string(head.status);
    text.append(" ").append(head.reason.empty() ? reason_phrase(head.status) : head.reason);
    return text + "\n" + fields_passed_on(head.headers) + "\n" + body + "\n" +
           fields_passed_on(head.trailers);
  }

  ResponseHead head;
  std::string body;
  bool begun = false;
  bool over = false;
  bool failed = false;
};

void receive(Attempt& attempt, std::string_view bytes, std::string_view method,
             const Limits& limits, Arena& arena) {
  OutputBlocks blocks;
  OutputBuffer output(blocks);
  ClientCodec codec(output, limits);
  RequestHead request(arena);
  request.method = method_of(method);
  request.method_name = method;
  request.path = "/";
  codec.send_head(codec.open(attempt), request, true);
  codec.receive(bytes);
  codec.receive_eof();
}

class OneRequest final : public ServerCodecOwner, public RequestReceiver {
 public:
  explicit OneRequest(Arena& arena) : head_(arena) {}
  Begun begin_request(StreamId) override { return {&head_, this}; }
  void on_request_head(bool) override {}
  void on_request_body(std::string_view) override {}
  void on_request_end() override {}
  void on_request_error(ErrorCode) override {}

 private:
  RequestHead head_;
};

std::string forward(const Attempt& attempt, std::string_view method, const Limits& limits,
                    Arena& arena) {
  OutputBlocks blocks;
  OutputBuffer output(blocks);
  OneRequest owner(arena);
  ServerCodec codec(output, owner, limits);
  codec.receive(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
  codec.send_head(1, attempt.head, false);
  codec.send_body(1, attempt.body);
  codec.send_end(1, attempt.head.trailers);
  return take_output(output);
}

void check_round_trip(std::string_view bytes, std::string_view method) {
  ArenaBlocks blocks;
  Arena arena(blocks);
  const Limits limits;
  Attempt first(arena);
  receive(first, bytes, method, limits, arena);
  require(!(first.over && first.failed), "a response does not end and fail");
  if (!first.over) return;
  Limits wide;
  wide.header_bytes *= 2;  // a value without a space before it gets one
  wide.request_line *= 2;  // and a reason is filled in
  Attempt second(arena);
  receive(second, forward(first, method, wide, arena), method, wide, arena);
  require(second.over, "what is sent on is a whole response");
  require_equal(second.meaning(), first.meaning(), "a response keeps its meaning");
}

std::string finish(ClientRecord& client) {
  client.eof();
  require(client.codec.idle() || client.codec.write_finished() || !client.codec.can_open(),
          "the stream is over, or a tunnel is");
  if (!client.codec.idle()) client.send_end();
  require(client.codec.idle(), "the stream is over");
  require(client.codec.done(), "a closed connection takes no stream");
  client.sent();
  return client.events();
}

void check_splits(std::string_view bytes, const Request& request) {
  ClientRecord whole;
  whole.get(request.method, request.upgrade);
  whole.feed(bytes);
  const std::string events = finish(whole);
  for (const uint32_t salt : {0u, 1u}) {
    ClientRecord client;
    client.get(request.method, request.upgrade);
    for (const std::string_view piece : fuzz::split(bytes, salt)) client.feed(piece);
    require_equal(finish(client), events, "events do not depend on splits");
  }
  if (bytes.size() > 1024) return;
  ClientRecord client;
  client.get(request.method, request.upgrade);
  client.feed_bytes(bytes);
  require_equal(finish(client), events, "events do not depend on splits");
}

void check(std::string_view bytes) {
  check_splits(bytes, {"GET", ""});
  check_splits(bytes, {"HEAD", ""});
  check_splits(bytes, {"GET", "websocket"});
  check_round_trip(bytes, "GET");
  check_round_trip(bytes, "HEAD");
}

}  // namespace
}  // namespace tidegate::http::http1

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidegate::http::http1::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
