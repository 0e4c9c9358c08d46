// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <vector>

#include "unit/http1/client_record.h"

namespace tidegate::http::http1 {
namespace {

struct Refusal {
  const char* why;
  std::string bytes;
};

std::string response(std::string_view fields, std::string_view body = {}) {
  return "HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

std::string chunked(std::string_view body) {
  return response("Transfer-Encoding: chunked\r\n", body);
}

std::vector<Refusal> refusals() {
  const std::string nul(1, '\0');
  return {
      {"another protocol", "ICY 200 OK\r\n\r\n"},
      {"small letters", "http/1.1 200 OK\r\n\r\n"},
      {"a later version", "HTTP/2.0 200 OK\r\n\r\n"},
      {"a version of two digits", "HTTP/1.10 200 OK\r\n\r\n"},
      {"a version of a letter", "HTTP/1.x 200 OK\r\n\r\n"},
      {"no status", "HTTP/1.1\r\n\r\n"},
      {"no status but a space", "HTTP/1.1 \r\n\r\n"},
      {"two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n"},
      {"a tab before the status", "HTTP/1.1\t200 OK\r\n\r\n"},
      {"a short status", "HTTP/1.1 20 OK\r\n\r\n"},
      {"a long status", "HTTP/1.1 2000 OK\r\n\r\n"},
      {"a status of letters", "HTTP/1.1 2xx OK\r\n\r\n"},
      {"a status below 100", "HTTP/1.1 099 OK\r\n\r\n"},
      {"a control byte in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n"},
      {"NUL in the reason", "HTTP/1.1 200 O" + nul + "K\r\n\r\n"},
      {"a bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n"},
      {"a bare LF after the status line", "HTTP/1.1 200 OK\n\r\n"},
      {"two empty lines first", "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
      {"half an empty line first", "\rHTTP/1.1 200 OK\r\n\r\n"},
      {"a bare LF first", "\nHTTP/1.1 200 OK\r\n\r\n"},
      {"two CRs first", "\r\r\nHTTP/1.1 200 OK\r\n\r\n"},
      {"a tunnel that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"},
      {"length and encoding", response("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"two lengths", response("Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"two equal lengths", response("Content-Length: 5\r\nContent-Length: 5\r\n")},
      {"a list of lengths", response("Content-Length: 5, 5\r\n")},
      {"a negative length", response("Content-Length: -5\r\n")},
      {"a length past 64 bits", response("Content-Length: 18446744073709551621\r\n")},
      {"chunked twice", response("Transfer-Encoding: chunked, chunked\r\n")},
      {"chunked in two fields",
       response("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"chunked not last", response("Transfer-Encoding: chunked, gzip\r\n")},
      {"gzip and chunked", response("Transfer-Encoding: gzip, chunked\r\n")},
      {"gzip alone", response("Transfer-Encoding: gzip\r\n")},
      {"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"a bare LF after a field", response("A: b\nC: d\r\n")},
      {"a bare CR in a value", response("A: b\rc\r\n")},
      {"a space before the colon", response("A : b\r\n")},
      {"a folded value", response("A: b\r\n c\r\n")},
      {"NUL in a value", response("A: b" + nul + "\r\n")},
      {"an empty name", response(": b\r\n")},
      {"a name outside token", response("A@: b\r\n")},
      {"no chunk size", chunked("\r\n")},
      {"a space after the size", chunked("5 \r\nhello\r\n0\r\n\r\n")},
      {"a size past 63 bits", chunked("8000000000000000\r\n")},
      {"a bare LF after a size", chunked("5\nhello\r\n0\r\n\r\n")},
      {"a chunk without CRLF", chunked("5\r\nhello0\r\n\r\n")},
      {"a control byte in an extension", chunked("5;a\x01\r\n")},
      {"a folded trailer", chunked("0\r\nA: b\r\n c\r\n\r\n")},
  };
}

struct Outcome {
  std::string events;
  bool done;
  bool idle;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(const Refusal& refusal, size_t split, bool by_bytes = false) {
  ClientRecord client;
  client.get();
  if (by_bytes) {
    client.feed_bytes(refusal.bytes);
  } else {
    client.feed(std::string_view(refusal.bytes).substr(0, split));
    client.feed(std::string_view(refusal.bytes).substr(split));
  }
  return {client.events(), client.codec.done(), client.codec.idle()};
}

TEST_CASE("malformed and ambiguous responses are refused, however they are split") {
  for (const Refusal& refusal : refusals()) {
    CAPTURE(refusal.why);
    const Outcome whole = outcome_of(refusal, 0);
    CHECK(whole.events.ends_with("error bad_response\n"));
    CHECK(whole.done);
    CHECK(whole.idle);
    for (size_t split = 1; split < refusal.bytes.size(); ++split) {
      CAPTURE(split);
      CHECK(outcome_of(refusal, split) == whole);
    }
    CHECK(outcome_of(refusal, 0, true) == whole);
  }
}

TEST_CASE("response heads keep to the limits") {
  Limits limits;
  limits.request_line = 20;
  limits.header_bytes = 40;
  limits.header_count = 2;
  const auto refused = [&](std::string_view bytes) {
    ClientRecord client(limits);
    client.get();
    client.feed(bytes);
    return client.events() == "error response_headers_too_large\n";
  };
  CHECK_FALSE(refused("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n"));
  CHECK(refused("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"));
  CHECK(refused("HTTP/1.1 200 OK\r\nA: " + std::string(40, 'b')));
  CHECK(refused("HTTP/1.1 200 " + std::string(20, 'O')));
}

TEST_CASE("interim responses without end are refused") {
  ClientRecord client;
  client.get();
  for (int i = 0; i < 40; ++i) client.feed("HTTP/1.1 103 Early Hints\r\n\r\n");
  CHECK(client.events().ends_with("error bad_response\n"));
}

}  // namespace
}  // namespace tidegate::http::http1
