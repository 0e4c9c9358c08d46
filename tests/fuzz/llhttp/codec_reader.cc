// SPDX-License-Identifier: Apache-2.0
#include <deque>
#include <map>

#include "fuzz/llhttp/reading.h"
#include "http/http1/client_codec.h"
#include "unit/http1/server_record.h"

namespace tidegate::llhttp_diff {
namespace {

using http::http1::ServerRecord;

Fields fields_of(const http::Headers& headers) {
  Fields fields;
  for (const http::HeaderField& field : headers) fields.emplace_back(field.name(), field.value());
  return fields;
}

std::string version_of(http::Version version) {
  return version == http::Version::Http10 ? " 1.0" : " 1.1";
}

/// llhttp drops none of these.
http::Limits lenient_limits() {
  http::Limits limits;
  limits.underscores = true;
  return limits;
}

Reading read_requests(std::string_view bytes) {
  Reading reading;
  ServerRecord server(lenient_limits());
  server.when_head = [&](ServerRecord::Stream& stream) {
    Message& message = reading.messages.emplace_back();
    message.target = std::string(stream.head.target);
    message.start = std::string(stream.head.method_name) + " " + message.target +
                    version_of(stream.head.version);
    message.fields = fields_of(stream.head.headers);
    message.has_head = true;
  };
  server.when_body = [&](ServerRecord::Stream&, std::string_view part) {
    reading.messages.back().body.append(part);
  };
  server.when_end = [&](ServerRecord::Stream& stream) {
    reading.messages.back().trailers = fields_of(stream.head.trailers);
    reading.messages.back().complete = true;
    stream.answer(200);
  };
  server.when_error = [&](ServerRecord::Stream& stream, ErrorCode code) {
    reading.error = describe(code).token;
    stream.answer(describe(code).status);
  };
  server.feed(bytes);
  return reading;
}

class Receiver final : public http::ResponseReceiver {
 public:
  Receiver(Reading& reading, Arena& arena) : reading_(reading), head_(arena) {}

  http::ResponseHead& begin_response() override { return head_; }
  void on_response_interim() override { on_response_head(true); }
  void on_response_head(bool end) override {
    Message& message = reading_.messages.emplace_back();
    message.start =
        std::to_string(head_.status) + " " + std::string(head_.reason) + version_of(head_.version);
    message.fields = fields_of(head_.headers);
    message.has_head = true;
    message.complete = end;
  }
  void on_response_body(std::string_view bytes) override {
    reading_.messages.back().body.append(bytes);
  }
  void on_response_end() override {
    reading_.messages.back().trailers = fields_of(head_.trailers);
    reading_.messages.back().complete = true;
  }
  void on_response_error(ErrorCode code) override { reading_.error = describe(code).token; }

 private:
  Reading& reading_;
  http::ResponseHead head_;
};

Reading read_response(std::string_view bytes, http::Method method) {
  Reading reading;
  ArenaBlocks arenas;
  Arena arena(arenas);
  OutputBlocks blocks;
  OutputBuffer output(blocks);
  Receiver receiver(reading, arena);
  const http::Limits limits = lenient_limits();
  http::http1::ClientCodec codec(output, limits);
  http::RequestHead request(arena);
  request.method = method;
  request.method_name = "GET";
  request.path = "/";
  codec.send_head(codec.open(receiver), request, true);
  codec.receive(bytes);
  codec.receive_eof();
  return reading;
}

}  // namespace

Reading read_by_codec(std::string_view bytes, Side side) {
  switch (side) {
    case Side::Requests:
      return read_requests(bytes);
    case Side::Responses:
      return read_response(bytes, http::Method::Get);
    case Side::ResponsesToHead:
      break;
  }
  return read_response(bytes, http::Method::Head);
}

}  // namespace tidegate::llhttp_diff
