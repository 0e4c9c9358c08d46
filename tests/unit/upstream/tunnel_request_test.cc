// SPDX-License-Identifier: Apache-2.0
#include "upstream/tunnel_request.h"

#include <doctest/doctest.h>

#include <string>

namespace tidegate::upstream {
namespace {

using State = TunnelRequest::State;

/// What is made of an answer that comes byte by byte.
State read(std::string_view bytes, std::string* detail = nullptr) {
  TunnelRequest request;
  for (const char c : bytes) {
    size_t taken = 0;
    const State state = request.receive({&c, 1}, taken);
    CHECK(taken == 1);
    if (state == State::More) continue;
    if (detail != nullptr) *detail = request.detail();
    return state;
  }
  return State::More;
}

TEST_CASE("a tunnel is asked for by host and port, with what the proxy wants to know") {
  CHECK(TunnelRequest::text("example.com:443", "") ==
        "CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n");
  CHECK(TunnelRequest::text("[::1]:443", "Basic YTpi") ==
        "CONNECT [::1]:443 HTTP/1.1\r\nhost: [::1]:443\r\nproxy-authorization: Basic YTpi\r\n\r\n");
}

TEST_CASE("any 2xx opens the tunnel, all else refuses it") {
  CHECK(read("HTTP/1.1 200 Connection established\r\n\r\n") == State::Open);
  CHECK(read("HTTP/1.0 204\r\nvia: x\r\n\r\n") == State::Open);
  CHECK(read("HTTP/1.1 407 Who\r\n\r\n") == State::Unauthorized);
  CHECK(read("HTTP/1.1 502 Bad Gateway\r\n\r\n") == State::Refused);
  CHECK(read("HTTP/1.1 301 Moved\r\n\r\n") == State::Refused);
  CHECK(read("SSH-2.0-x\r\n\r\n") == State::Malformed);
  CHECK(read("HTTP/1.1 2x0 \r\n\r\n") == State::Malformed);
  CHECK(read("HTTP/1.1 200 no end\r\n") == State::More);
}

TEST_CASE("H19: interim responses before the answer are passed over") {
  CHECK(read("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") == State::Open);
  CHECK(
      read(
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 407 Who\r\n\r\n") ==
      State::Unauthorized);
  CHECK(read("HTTP/1.1 103 Early Hints\r\n\r\n") == State::More);
  CHECK(read("HTTP/1.1 101 Switching Protocols\r\n\r\n") == State::Malformed);
  TunnelRequest request;
  size_t taken = 0;
  const std::string_view head = "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
  CHECK(request.receive(std::string(head) + "the origin", taken) == State::Open);
  CHECK(taken == head.size());
}

TEST_CASE("H19: interim responses without end are malformed") {
  std::string endless;
  for (int i = 0; i < 100; ++i) endless += "HTTP/1.1 103 Early Hints\r\n\r\n";
  TunnelRequest request;
  size_t taken = 0;
  CHECK(request.receive(endless, taken) == State::Malformed);
}

TEST_CASE("what comes behind the answer is left alone") {
  TunnelRequest request;
  size_t taken = 0;
  CHECK(request.receive("HTTP/1.1 200 OK\r\n\r", taken) == State::More);
  CHECK(request.receive("\nthe origin", taken) == State::Open);
  CHECK(taken == 1);
}

TEST_CASE("an answer without end is malformed") {
  CHECK(read("HTTP/1.1 200 OK\r\nx: " + std::string(17 * 1024, 'x')) == State::Malformed);
}

TEST_CASE("the log gets the status line, without control bytes") {
  std::string detail;
  read("HTTP/1.1 503 Not \x1b[1mnow\r\nsecret: x\r\n\r\n", &detail);
  CHECK(detail == "the outbound proxy answered HTTP/1.1 503 Not ?[1mnow");
}

}  // namespace
}  // namespace tidegate::upstream
