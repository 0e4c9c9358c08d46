// SPDX-License-Identifier: Apache-2.0
// What the HTTP/2 codecs cost: a GET with a few fields and a response of 128 bytes, through both of
// them, one stream at a time and sixteen.
#include <benchmark/benchmark.h>

#include <array>
#include <optional>
#include <string>

#include "http/http2/client_codec.h"
#include "http/http2/server_codec.h"

namespace tidegate::http::http2 {
namespace {

constexpr size_t kBody = 128;

const Limits kLimits;

/// Answers every request at once.
class Server final : public ServerCodecOwner, public RequestReceiver {
 public:
  Server(ArenaBlocks& arenas, OutputBlocks& blocks, size_t body)
      : arena_(arenas), body_(body, 'x'), output(blocks), codec(output, *this, kLimits) {}

  Begun begin_request(StreamId id) override {
    stream_ = id;
    arena_.clear();
    head_.emplace(arena_);
    return {&*head_, this};
  }
  void on_request_head(bool) override {
    ResponseHead response(arena_);
    response.status = 200;
    response.body = BodyKind::Sized;
    response.content_length = body_.size();
    response.headers.add(HeaderId::Server, "origin");
    response.headers.add(HeaderId::Date, "Fri, 20 Nov 2026 23:53:06 GMT");
    response.headers.add(HeaderId::ContentType, "application/json");
    response.headers.add(HeaderId::CacheControl, "no-store");
    codec.send_head(stream_, response, false);
    codec.send_body(stream_, body_);
    codec.send_end(stream_, response.trailers);
  }
  void on_request_body(std::string_view) override {}
  void on_request_end() override {}
  void on_request_error(ErrorCode) override { std::abort(); }

 private:
  Arena arena_;
  std::optional<RequestHead> head_;
  StreamId stream_ = 0;
  std::string body_;

 public:
  OutputBuffer output;
  ServerCodec codec;
};

class Client final : public ResponseReceiver {
 public:
  Client(ArenaBlocks& arenas, OutputBlocks& blocks)
      : arena_(arenas),
        request_(arena_),
        response_arena_(arenas),
        output(blocks),
        codec(output, kLimits, "http") {
    request_.method = Method::Get;
    request_.method_name = "GET";
    request_.path = "/api/users/42";
    request_.has_query = true;
    request_.query = "fields=name,mail";
    request_.headers.add(HeaderId::Host, "api.example.com");
    request_.headers.add(HeaderId::UserAgent, "curl/7.88.1");
    request_.headers.add(HeaderId::Accept, "*/*");
    request_.headers.add(HeaderId::AcceptEncoding, "gzip, deflate");
    request_.headers.add(HeaderId::XRequestId, "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
  }

  void get() { codec.send_head(codec.open(*this), request_, true); }
  ResponseHead& begin_response() override {
    response_arena_.clear();
    return response_.emplace(response_arena_);
  }
  void on_response_interim() override {}
  void on_response_head(bool) override {}
  void on_response_body(std::string_view bytes) override { received += bytes.size(); }
  void on_response_end() override { ++ended; }
  void on_response_error(ErrorCode) override { std::abort(); }

  size_t ended = 0;
  size_t received = 0;

 private:
  Arena arena_;
  RequestHead request_;
  Arena response_arena_;
  std::optional<ResponseHead> response_;

 public:
  OutputBuffer output;
  ClientCodec codec;
};

void carry(OutputBuffer& from, std::string& bytes) {
  bytes.clear();
  if (from.empty()) return;
  std::array<iovec, OutputBlock::kSegments> parts;
  const size_t count = from.gather(parts);
  for (size_t i = 0; i < count; ++i) {
    bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  }
  from.consume(bytes.size());
}

/// One turn of a loop on either side.
void turn(Client& client, Server& server, std::string& bytes) {
  client.codec.produce(false);
  carry(client.output, bytes);
  if (!bytes.empty()) server.codec.receive(bytes);
  server.codec.produce(false);
  carry(server.output, bytes);
  if (!bytes.empty()) client.codec.receive(bytes);
}

void requests(benchmark::State& state, size_t body) {
  ArenaBlocks arenas;
  OutputBlocks blocks;
  Server server(arenas, blocks, body);
  Client client(arenas, blocks);
  std::string bytes;
  for (int i = 0; i < 3; ++i) turn(client, server, bytes);  // settings
  const auto streams = static_cast<size_t>(state.range(0));
  for (auto unused : state) {
    for (size_t i = 0; i < streams; ++i) client.get();
    const size_t wanted = client.ended + streams;
    while (client.ended < wanted) turn(client, server, bytes);
  }
  state.SetItemsProcessed(static_cast<int64_t>(client.ended));
  state.SetBytesProcessed(static_cast<int64_t>(client.received));
}

BENCHMARK_CAPTURE(requests, small, kBody)->Arg(1)->Arg(16);
BENCHMARK_CAPTURE(requests, megabyte, size_t{1} << 20)->Arg(1);

}  // namespace
}  // namespace tidegate::http::http2
