// SPDX-License-Identifier: Apache-2.0
#include "http/tunnel_codec.h"

#include <doctest/doctest.h>

#include <string>

#include "unit/http/fixture.h"

namespace tidegate::http {
namespace {

/// The codec with an attempt that records what it hears.
struct TunnelRecord final : ArenaFixture, ResponseReceiver {
  OutputBlocks output_blocks;
  OutputBuffer output{output_blocks};
  TunnelCodec codec{output};
  RequestHead request{arena};
  ResponseHead response{arena};
  StreamId stream = 0;
  std::string events;

  void open() {
    stream = codec.open(*this);
    codec.send_head(stream, request, true);
  }
  std::string sent() {
    std::string text;
    if (output.empty()) return text;
    std::array<iovec, OutputBlock::kSegments> parts;
    for (size_t i = 0, count = output.gather(parts); i < count; ++i) {
      text.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    }
    output.consume(text.size());
    return text;
  }

  ResponseHead& begin_response() override { return response; }
  void on_response_interim() override { events += "interim "; }
  void on_response_head(bool end) override { events += end ? "head end " : "head "; }
  void on_response_body(std::string_view bytes) override { events.append(bytes).append(" "); }
  void on_response_end() override { events += "end "; }
  void on_response_error(ErrorCode code) override {
    events.append(describe(code).token).append(" ");
  }
};

TEST_CASE("the head goes nowhere and is answered at once") {
  TunnelRecord tunnel;
  CHECK(tunnel.codec.can_open());
  tunnel.open();
  CHECK(tunnel.events == "head ");
  CHECK(tunnel.response.status == 200);
  CHECK(tunnel.response.opens_tunnel());
  CHECK(tunnel.sent().empty());
  CHECK_FALSE(tunnel.codec.can_open());
}

TEST_CASE("bytes go and come as they are") {
  TunnelRecord tunnel;
  tunnel.open();
  tunnel.codec.send_body(tunnel.stream, "one\r\n\r\n");
  tunnel.codec.send_body(tunnel.stream, "");
  tunnel.codec.receive("HTTP/1.1 500");
  CHECK(tunnel.sent() == "one\r\n\r\n");
  CHECK(tunnel.events == "head HTTP/1.1 500 ");
}

TEST_CASE("each direction of a bare tunnel ends by itself") {
  TunnelRecord tunnel;
  tunnel.open();
  SUBCASE("the origin first") {
    tunnel.codec.receive_eof();
    CHECK(tunnel.events == "head end ");
    tunnel.codec.send_body(tunnel.stream, "late");
    CHECK(tunnel.sent() == "late");
    CHECK_FALSE(tunnel.codec.idle());
    tunnel.codec.send_end(tunnel.stream, tunnel.request.trailers);
    CHECK(tunnel.events == "head end ");
  }
  SUBCASE("the client first") {
    tunnel.codec.send_end(tunnel.stream, tunnel.request.trailers);
    CHECK(tunnel.codec.write_finished());
    tunnel.codec.send_body(tunnel.stream, "nothing any more");
    CHECK(tunnel.sent().empty());
    tunnel.codec.receive("late");
    tunnel.codec.receive_eof();
    CHECK(tunnel.events == "head late end ");
  }
  CHECK(tunnel.codec.idle());
  CHECK(tunnel.codec.done());
}

TEST_CASE("a transport that breaks is told, also when the origin had ended") {
  TunnelRecord tunnel;
  tunnel.open();
  SUBCASE("in both directions") { tunnel.codec.fail(ErrorCode::OriginReset); }
  SUBCASE("in the client's only") {
    tunnel.codec.receive_eof();
    tunnel.codec.fail(ErrorCode::OriginReset);
  }
  CHECK(tunnel.events.ends_with("origin_reset "));
  CHECK(tunnel.codec.idle());
}

TEST_CASE("nobody hears of a tunnel that is not wanted any more") {
  TunnelRecord tunnel;
  tunnel.open();
  tunnel.codec.cancel(tunnel.stream);
  tunnel.codec.receive("x");
  tunnel.codec.receive_eof();
  tunnel.codec.fail(ErrorCode::OriginReset);
  CHECK(tunnel.events == "head ");
  CHECK(tunnel.codec.idle());
  CHECK(tunnel.codec.done());
}

TEST_CASE("what comes before the stream spoils the connection") {
  TunnelRecord tunnel;
  SUBCASE("bytes") { tunnel.codec.receive("220 hello"); }
  SUBCASE("the end") { tunnel.codec.receive_eof(); }
  CHECK_FALSE(tunnel.codec.can_open());
  CHECK(tunnel.codec.done());
}

}  // namespace
}  // namespace tidegate::http
