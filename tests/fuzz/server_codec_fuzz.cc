// SPDX-License-Identifier: Apache-2.0
// The input is what a client sends on one connection. Whatever it is:
//
// - every byte is taken, and the events and answers do not depend on how it is split;
// - they are the same when requests are answered late;
// - after an error or a close nothing more is heard;
// - a request that was understood is understood the same once the client codec has sent it on.
#include <map>
#include <string>

#include "fuzz/require.h"
#include "fuzz/splits.h"
#include "http/http1/client_codec.h"
#include "unit/http1/server_record.h"

namespace tidegate::http::http1 {
namespace {

using fuzz::require;
using fuzz::require_equal;
using Stream = ServerRecord::Stream;

constexpr uint64_t kFramingFields =
    header_bit(HeaderId::Connection) | header_bit(HeaderId::ContentLength) |
    header_bit(HeaderId::Host) | header_bit(HeaderId::KeepAlive) |
    header_bit(HeaderId::ProxyConnection) | header_bit(HeaderId::Te) |
    header_bit(HeaderId::TransferEncoding) | header_bit(HeaderId::Upgrade);

std::string fields_passed_on(const Headers& headers) {
  std::string text;
  for (const HeaderField& field : headers) {
    if ((header_bit(field.id()) & kFramingFields) != 0) continue;
    text.append(field.name()).append(": ").append(field.value()).append("\n");
  }
  return text;
}

/// What of a request every hop is to see.
std::string meaning(const RequestHead& head, const std::string& body) {
  std::string text(head.method_name);
  text.append(" ").append(head.path);
  if (head.has_query) text.append("?").append(head.query);
  text.append("\nhost: ").append(head.headers.get(HeaderId::Host)).append("\n");
  return text + fields_passed_on(head.headers) + "\n" + body + "\n" +
         fields_passed_on(head.trailers);
}

class Deaf final : public ResponseReceiver {
 public:
  explicit Deaf(Arena& arena) : head_(arena) {}
  ResponseHead& begin_response() override { return head_; }
  void on_response_interim() override {}
  void on_response_head(bool) override {}
  void on_response_body(std::string_view) override {}
  void on_response_end() override {}
  void on_response_error(ErrorCode) override {}

 private:
  ResponseHead head_;
};

std::string forward(RequestHead& head, const std::string& body, const Limits& limits) {
  OutputBlocks blocks;
  OutputBuffer output(blocks);
  ClientCodec codec(output, limits);
  Deaf receiver(head.headers.arena());
  const StreamId stream = codec.open(receiver);
  codec.send_head(stream, head, head.body == BodyKind::None);
  if (head.body != BodyKind::None) {
    codec.send_body(stream, body);
    codec.send_end(stream, head.trailers);
  }
  return take_output(output);
}

void check_round_trip(RequestHead& head, const std::string& body) {
  if (head.method == Method::Connect) return;  // never forwarded
  if (!head.headers.has(HeaderId::Host)) head.headers.add(HeaderId::Host, "origin");
  Limits wide;
  wide.header_bytes *= 2;  // a value without a space before it gets one
  ServerRecord next(wide);
  std::string again;
  next.when_body = [&](Stream&, std::string_view bytes) { again.append(bytes); };
  bool ended = false;
  next.when_end = [&](Stream&) { ended = true; };
  next.feed(forward(head, body, wide));
  require(ended, "what is forwarded is a whole request");
  require(next.kept() == 0, "what is forwarded is one request");
  require_equal(meaning(next.stream().head, again), meaning(head, body),
                "a request keeps its meaning");
}

/// A connection that answers every request and echoes nothing.
class Connection {
 public:
  explicit Connection(bool late) {
    answer_all(server_);
    server_.when_body = [this](Stream& stream, std::string_view bytes) {
      bodies_[stream.id].append(bytes);
    };
    if (late) server_.when_end = [this](Stream&) { waits_ = true; };
  }

  void check_requests() {
    server_.when_end = [this](Stream& stream) {
      check_round_trip(stream.head, bodies_[stream.id]);
      stream.answer(200);
    };
  }

  void feed(std::string_view bytes) {
    server_.feed(bytes);
    while (waits_) {
      waits_ = false;
      server_.stream().answer(200);
      server_.feed_kept();
    }
  }

  std::string finish() {
    require(server_.kept() == 0, "every byte is taken");
    server_.eof();
    const std::string events = server_.events();
    if (server_.codec.done()) {
      server_.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      require(server_.events() == events, "nothing is heard after the end");
      require(server_.kept() == 0, "what comes after the end is dropped");
    }
    return events + server_.sent();
  }

 private:
  ServerRecord server_;
  std::map<StreamId, std::string> bodies_;
  bool waits_ = false;  // for its answer
};

std::string run(std::string_view bytes, uint32_t salt) {
  Connection connection(false);
  for (const std::string_view piece : fuzz::split(bytes, salt)) connection.feed(piece);
  return connection.finish();
}

std::string run_late(std::string_view bytes) {
  Connection connection(true);
  connection.feed(bytes);
  return connection.finish();
}

std::string run_by_bytes(std::string_view bytes) {
  Connection connection(false);
  for (size_t i = 0; i < bytes.size(); ++i) connection.feed(bytes.substr(i, 1));
  return connection.finish();
}

void check(std::string_view bytes) {
  Connection connection(false);
  connection.check_requests();
  connection.feed(bytes);
  const std::string whole = connection.finish();
  require_equal(run(bytes, 0), whole, "events do not depend on splits");
  require_equal(run(bytes, 1), whole, "events do not depend on splits");
  if (bytes.size() <= 1024) {
    require_equal(run_by_bytes(bytes), whole, "events do not depend on splits");
  }
  require_equal(run_late(bytes), whole, "events do not depend on when the answer comes");
}

}  // namespace
}  // namespace tidegate::http::http1

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidegate::http::http1::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
