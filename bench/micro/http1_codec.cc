// SPDX-License-Identifier: Apache-2.0
// What the HTTP/1 codecs cost: a head parsed into an arena, and a head written into an output
// buffer, both through the codec as a connection uses it.
#include <benchmark/benchmark.h>

#include <optional>

#include "http/http1/client_codec.h"
#include "http/http1/request_parser.h"
#include "http/http1/server_codec.h"

namespace tidegate::http::http1 {
namespace {

constexpr std::string_view kRequest =
    "GET /api/users/42?fields=name,mail HTTP/1.1\r\n"
    "Host: api.example.com\r\n"
    "User-Agent: curl/7.88.1\r\n"
    "Accept: */*\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "X-Request-Id: 0f1e2d3c4b5a69788796a5b4c3d2e1f0\r\n\r\n";

constexpr std::string_view kBrowserRequest =
    "GET /wiki/Main_Page?action=view&section=12 HTTP/1.1\r\n"
    "Host: en.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=4f1d0b2a6c8e4a0f9b7d; theme=dark; consent=yes; last=20261120\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: none\r\n"
    "Cache-Control: max-age=0\r\n\r\n";

constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\n"
    "Server: origin\r\n"
    "Date: Fri, 20 Nov 2026 23:53:06 GMT\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 128\r\n"
    "Cache-Control: no-store\r\n\r\n";

const Limits kLimits;

/// Answers each request when told to, and does nothing else.
class Sink final : public ServerCodecOwner, public RequestReceiver {
 public:
  explicit Sink(ArenaBlocks& blocks) : arena_(blocks) {}

  Begun begin_request(StreamId id) override {
    stream = id;
    arena_.clear();
    head.emplace(arena_);
    return {&*head, this};
  }
  void on_request_head(bool) override {}
  void on_request_body(std::string_view) override {}
  void on_request_end() override {}
  void on_request_error(ErrorCode) override { std::abort(); }

  StreamId stream = 0;
  std::optional<RequestHead> head;

 private:
  Arena arena_;
};

class Source final : public ResponseReceiver {
 public:
  explicit Source(ArenaBlocks& blocks) : arena_(blocks) {}

  ResponseHead& begin_response() override {
    arena_.clear();
    return head.emplace(arena_);
  }
  void on_response_interim() override {}
  void on_response_head(bool) override {}
  void on_response_body(std::string_view) override {}
  void on_response_end() override {}
  void on_response_error(ErrorCode) override { std::abort(); }

  std::optional<ResponseHead> head;

 private:
  Arena arena_;
};

void parse_request(benchmark::State& state, std::string_view bytes) {
  ArenaBlocks blocks;
  for (auto unused : state) {
    Arena arena(blocks);
    RequestHead head(arena);
    benchmark::DoNotOptimize(parse_request_head(bytes, 13, kLimits, head));
    benchmark::ClobberMemory();
  }
}

void respond(ServerCodec& codec, Sink& sink, const ResponseHead& head, OutputBuffer& output) {
  codec.send_head(sink.stream, head, true);
  output.clear();
}

/// A request through the codec and the shortest answer to it.
void receive_request(benchmark::State& state, std::string_view bytes) {
  ArenaBlocks arenas;
  OutputBlocks blocks;
  OutputBuffer output(blocks);
  Sink sink(arenas);
  ServerCodec codec(output, sink, kLimits);
  Arena arena(arenas);
  ResponseHead response(arena);
  response.status = 200;
  for (auto unused : state) {
    codec.receive(bytes);
    respond(codec, sink, response, output);
  }
}

/// A request in, and a typical response head out: less receive_request, what its fields cost.
void receive_and_respond(benchmark::State& state) {
  ArenaBlocks arenas;
  OutputBlocks blocks;
  OutputBuffer output(blocks);
  Sink sink(arenas);
  ServerCodec codec(output, sink, kLimits);
  Source source(arenas);
  OutputBuffer upstream(blocks);
  ClientCodec client(upstream, kLimits);
  codec.receive(kRequest);
  client.send_head(client.open(source), *sink.head, true);
  client.receive(kResponse);
  upstream.clear();
  const std::string body(128, 'x');
  const Headers no_trailers(source.head->headers.arena());
  for (auto unused : state) {
    if (codec.idle()) codec.receive(kRequest);  // the first was received above
    codec.send_head(sink.stream, *source.head, false);
    codec.send_body(sink.stream, body);
    codec.send_end(sink.stream, no_trailers);
    output.clear();
  }
}

/// Both directions of a proxied request: two heads and a body parsed, two heads and a body written.
void relay(benchmark::State& state) {
  ArenaBlocks arenas;
  OutputBlocks blocks;
  OutputBuffer output(blocks);
  Sink sink(arenas);
  ServerCodec server(output, sink, kLimits);
  Source source(arenas);
  OutputBuffer upstream(blocks);
  ClientCodec client(upstream, kLimits);
  const std::string body(128, 'x');
  const std::string response = std::string(kResponse) + body;
  for (auto unused : state) {
    server.receive(kRequest);
    client.send_head(client.open(source), *sink.head, true);
    upstream.clear();
    client.receive(response);
    server.send_head(sink.stream, *source.head, false);
    server.send_body(sink.stream, body);
    server.send_end(sink.stream, source.head->trailers);
    output.clear();
  }
}

void send_request(benchmark::State& state) {
  ArenaBlocks arenas;
  OutputBlocks blocks;
  OutputBuffer output(blocks);
  Source source(arenas);
  Arena arena(arenas);
  RequestHead head(arena);
  parse_request_head(kRequest, 5, kLimits, head);
  for (auto unused : state) {
    ClientCodec client(output, kLimits);
    client.send_head(client.open(source), head, true);
    output.clear();
  }
}

BENCHMARK_CAPTURE(parse_request, curl, kRequest);
BENCHMARK_CAPTURE(parse_request, browser, kBrowserRequest);
BENCHMARK_CAPTURE(receive_request, curl, kRequest);
BENCHMARK_CAPTURE(receive_request, browser, kBrowserRequest);
BENCHMARK(receive_and_respond);
BENCHMARK(send_request);
BENCHMARK(relay);

}  // namespace
}  // namespace tidegate::http::http1
