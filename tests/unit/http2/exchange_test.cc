// SPDX-License-Identifier: Apache-2.0
// The two codecs against each other, as two proxies in a row would use them.
#include <doctest/doctest.h>

#include "unit/http2/client_record.h"
#include "unit/http2/server_record.h"

namespace tidegate::http::http2 {
namespace {

/// A client and a server, joined.
struct Pair {
  explicit Pair(const Settings& settings = {}) : server(settings), client(settings) {
    server.flushes = false;
    run();
  }

  /// Carries bytes both ways until neither has more to say; `cut`: in pieces of that size.
  void run(size_t cut = 1 << 20) {
    while (true) {
      client.codec.produce(false);
      const std::string up = http1::take_output(client.output);
      for (size_t at = 0; at < up.size(); at += cut)
        server.feed(std::string_view(up).substr(at, cut));
      server.codec.produce(false);
      const std::string down = http1::take_output(server.output);
      for (size_t at = 0; at < down.size(); at += cut) {
        client.codec.receive(std::string_view(down).substr(at, cut));
      }
      if (up.empty() && down.empty()) return;
    }
  }

  ServerRecord server;
  ClientRecord client;
};

TEST_CASE("a request and its response pass") {
  Pair pair;
  pair.server.when_end = [](ServerRecord::Call& call) {
    call.answer(200, "hello", {{"server", "x"}, {"x-own", "1"}});
  };
  ClientRecord::Call& call = pair.client.open();
  call.request.headers.add("accept", "*/*");
  call.request.has_query = true;
  call.request.query = "a=b";
  call.send_head(true);
  pair.run();
  CHECK(pair.server.call(1).events() ==
        "GET /?a=b by http from origin {accept: */*, host: origin} end\n");
  CHECK(call.events() ==
        "200  {server: x, x-own: 1, content-length: 5} sized 5\nbody hello\nend\n");
  CHECK(pair.server.codec.idle());
  CHECK(pair.client.codec.idle());
}

TEST_CASE("bodies and trailers pass both ways") {
  Pair pair;
  pair.server.when_end = [](ServerRecord::Call& call) {
    call.send_head(200, BodyKind::Streamed, 0, false);
    call.send_body("echo");
    call.send_end({{"grpc-status", "0"}});
  };
  ClientRecord::Call& call = pair.client.open();
  call.request.method = Method::Post;
  call.request.method_name = "POST";
  call.request.body = BodyKind::Streamed;
  call.send_head(false);
  call.send_body("ping");
  call.send_end({{"x-sum", "1"}});
  pair.run();
  CHECK(pair.server.call(1).events() ==
        "POST / by http from origin {host: origin} streamed\nbody ping\nend {x-sum: 1}\n");
  CHECK(call.events() == "200  streamed\nbody echo\nend {grpc-status: 0}\n");
}

TEST_CASE("a body larger than all windows passes whole, in both directions") {
  Settings small;
  small.stream_window = 70000;
  small.connection_window = 100000;
  Pair pair(small);
  const std::string body(1 << 20, 'x');
  pair.server.when_end = [&](ServerRecord::Call& call) { call.answer(200, body); };
  ClientRecord::Call& call = pair.client.open();
  call.request.body = BodyKind::Sized;
  call.request.content_length = body.size();
  call.send_head(false);
  call.send_body(body);
  call.send_end();
  pair.run();
  CHECK(pair.server.call(1).body_bytes == body.size());
  CHECK(call.body == body);
  CHECK(call.writable == 0);  // it had ended
  CHECK(pair.server.codec.idle());
}

}  // namespace
}  // namespace tidegate::http::http2
