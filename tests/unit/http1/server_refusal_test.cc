// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <vector>

#include "unit/http1/server_record.h"

namespace tidegate::http::http1 {
namespace {

struct Refusal {
  const char* why;
  std::string bytes;
  const char* error = "bad_request";
};

std::string get(std::string_view fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

std::string line(std::string_view request_line) {
  return std::string(request_line) + "\r\nHost: a\r\n\r\n";
}

std::string chunked(std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
}

std::vector<Refusal> framing_refusals() {
  return {
      {"length and encoding", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"encoding and length", get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
      {"two lengths", get("Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"two equal lengths", get("Content-Length: 5\r\nContent-Length: 5\r\n")},
      {"a list of lengths", get("Content-Length: 5, 5\r\n")},
      {"an empty length", get("Content-Length:\r\n")},
      {"a positive length", get("Content-Length: +5\r\n")},
      {"a negative length", get("Content-Length: -5\r\n")},
      {"a hexadecimal length", get("Content-Length: 0x5\r\n")},
      {"a fraction", get("Content-Length: 5.0\r\n")},
      {"a length with a space", get("Content-Length: 5 0\r\n")},
      {"a length with a letter", get("Content-Length: 5a\r\n")},
      {"a length past 64 bits", get("Content-Length: 18446744073709551621\r\n")},
      {"a length past 63 bits", get("Content-Length: 9223372036854775808\r\n")},
      {"chunked twice", get("Transfer-Encoding: chunked, chunked\r\n")},
      {"chunked in two fields",
       get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"chunked not last", get("Transfer-Encoding: chunked, gzip\r\n")},
      {"chunked and identity",
       get("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n")},
      {"gzip alone", get("Transfer-Encoding: gzip\r\n")},
      {"identity", get("Transfer-Encoding: identity\r\n")},
      {"an empty encoding", get("Transfer-Encoding:\r\n")},
      {"an unknown encoding", get("Transfer-Encoding: xchunked\r\n")},
      {"a vertical tab before chunked", get("Transfer-Encoding: \x0b"
                                            "chunked\r\n")},
      {"a quoted encoding", get("Transfer-Encoding: \"chunked\"\r\n")},
      {"an encoding with parameters", get("Transfer-Encoding: chunked;a=b\r\n")},
      {"an encoding list with an empty member", get("Transfer-Encoding: chunked,\r\n")},
      {"chunked in HTTP/1.0", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
  };
}

std::vector<Refusal> field_refusals() {
  const std::string nul(1, '\0');
  return {
      {"a bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"},
      {"a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
      {"a bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n"},
      {"bare LFs only", "GET / HTTP/1.1\nHost: a\n\n"},
      {"a bare CR in a value", get("X: a\rb\r\n")},
      {"a bare CR in a name", get("X\ra: b\r\n")},
      {"a CR before CRLF", get("X: a\r\r\n")},
      {"a bare CR as a line end", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"},
      {"a space before the colon", get("X : a\r\n")},
      {"a tab before the colon", get("X\t: a\r\n")},
      {"a space before the colon of a length", get("Content-Length : 5\r\n")},
      {"a folded value", get("X: a\r\n b\r\n")},
      {"a value folded by a tab", get("X: a\r\n\tb\r\n")},
      {"a fold of blanks only", get("X: a\r\n \r\n")},
      {"a space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"NUL in a value", get("X: a" + nul + "b\r\n")},
      {"NUL in a name", get("X" + nul + ": b\r\n")},
      {"a control byte in a value", get("X: a\x01\r\n")},
      {"DEL in a value", get("X: a\x7f\r\n")},
      {"an escape in a value", get("X: \x1b[0m\r\n")},
      {"an empty name", get(": a\r\n")},
      {"a field without a colon", get("X\r\n")},
      {"a name in brackets", get("(X): a\r\n")},
      {"a slash in a name", get("a/b: c\r\n")},
      {"a name outside ASCII", get("X\xc3\xa9: a\r\n")},
      {"a quote in a name", get("\"X\": a\r\n")},
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", get("Host: b\r\n")},
      {"two equal Hosts", get("Host: a\r\n")},
      {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"a Host with a user", "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n"},
      {"a Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {"a list of Hosts", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
      {"a Host with an odd port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"},
      {"a Host with two ports", "GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n"},
      {"a Host with a port past 65535", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"},
      {"a Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
      {"a Host of a port only", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"},
      {"a valid target with a bad Host", "GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"another expectation", get("Expect: 200-ok\r\nContent-Length: 1\r\n"), "expectation_failed"},
  };
}

std::vector<Refusal> request_line_refusals() {
  const std::string nul(1, '\0');
  return {
      {"two spaces before the target", line("GET  / HTTP/1.1")},
      {"two spaces after the target", line("GET /  HTTP/1.1")},
      {"a tab before the target", line("GET\t/ HTTP/1.1")},
      {"a tab after the target", line("GET /\tHTTP/1.1")},
      {"a space in front", line(" GET / HTTP/1.1")},
      {"a space behind", line("GET / HTTP/1.1 ")},
      {"a space in the target", line("GET /a b HTTP/1.1")},
      {"no target", line("GET HTTP/1.1")},
      {"an empty target", line("GET  HTTP/1.1")},
      {"no version", line("GET /")},
      {"no method", line("/ HTTP/1.1")},
      {"a method outside token", line("G(T / HTTP/1.1")},
      {"a method that is too long", line(std::string(33, 'M') + " / HTTP/1.1")},
      {"a small-letter version", line("GET / http/1.1")},
      {"a short version", line("GET / HTTP/1")},
      {"a long version", line("GET / HTTP/1.11")},
      {"a version of letters", line("GET / HTTP/1.x")},
      {"another protocol", line("GET / ICY/1.1")},
      {"a later version", line("GET / HTTP/2.0"), "version_unsupported"},
      {"an early version", line("GET / HTTP/0.9"), "version_unsupported"},
      {"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version_unsupported"},
      {"a fragment", line("GET /a#b HTTP/1.1")},
      {"NUL in the target", line("GET /a" + nul + " HTTP/1.1")},
      {"a control byte in the target", line("GET /a\x01 HTTP/1.1")},
      {"DEL in the target", line("GET /a\x7f HTTP/1.1")},
      {"a target outside ASCII", line("GET /\xc3\xa9 HTTP/1.1")},
      {"a fragment in the query", line("GET /a?b#c HTTP/1.1")},
      {"a bare CR in the target", line("GET /a\r HTTP/1.1")},
      {"a target without a slash", line("GET a HTTP/1.1")},
      {"an asterisk for GET", line("GET * HTTP/1.1")},
      {"an unknown scheme", line("GET ftp://a/ HTTP/1.1")},
      {"an absolute target without a host", line("GET http:///a HTTP/1.1")},
      {"an absolute target with a user", line("GET http://u@a/ HTTP/1.1")},
      {"CONNECT to a path", line("CONNECT / HTTP/1.1")},
      {"CONNECT without a port", line("CONNECT a HTTP/1.1")},
      {"CONNECT with an empty port", line("CONNECT a: HTTP/1.1")},
      {"CONNECT to a bare address", line("CONNECT [::1] HTTP/1.1")},
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)},
      {"a bare CR first", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"a bare LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
  };
}

std::vector<Refusal> chunk_refusals() {
  const std::string nul(1, '\0');
  return {
      {"no size", chunked("\r\nhello\r\n0\r\n\r\n")},
      {"no size before the end", chunked("\r\n\r\n")},
      {"an extension without a size", chunked(";a\r\n\r\n")},
      {"another byte for the LF after a size", chunked("5\rXhello\r\n0\r\n\r\n")},
      {"another byte for the LF after a chunk", chunked("5\r\nhello\rX0\r\n\r\n")},
      {"another byte for the CR after a chunk", chunked("5\r\nhelloX\n0\r\n\r\n")},
      {"another byte for the LF after the last chunk", chunked("0\rX\r\n")},
      {"another byte for the LF at the end", chunked("0\r\n\rX\r\n\r\n")},
      {"a size outside hexadecimal", chunked("g\r\n")},
      {"a prefixed size", chunked("0x5\r\nhello\r\n0\r\n\r\n")},
      {"a signed size", chunked("+5\r\nhello\r\n0\r\n\r\n")},
      {"a negative size", chunked("-1\r\n")},
      {"a space before the size", chunked(" 5\r\nhello\r\n0\r\n\r\n")},
      {"a space after the size", chunked("5 \r\nhello\r\n0\r\n\r\n")},
      {"a space before an extension", chunked("5 ;a\r\nhello\r\n0\r\n\r\n")},
      {"a size past 64 bits", chunked("10000000000000000\r\n")},
      {"a size past 63 bits", chunked("8000000000000000\r\n")},
      {"a line that is too long", chunked(std::string(300, '0') + "5\r\nhello\r\n0\r\n\r\n")},
      {"an extension that is too long", chunked("5;" + std::string(300, 'a') + "\r\n")},
      {"a bare LF after a size", chunked("5\nhello\r\n0\r\n\r\n")},
      {"a bare CR after a size", chunked("5\rhello\r\n0\r\n\r\n")},
      {"a bare LF in an extension", chunked("5;a\nhello\r\n0\r\n\r\n")},
      {"a bare CR in an extension", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n")},
      {"NUL in an extension", chunked("5;a" + nul + "\r\nhello\r\n0\r\n\r\n")},
      {"NUL in a quoted extension", chunked("5;a=\"" + nul + "\"\r\nhello\r\n0\r\n\r\n")},
      {"an extension without a name", chunked("5;\r\nhello\r\n0\r\n\r\n")},
      {"an extension without a value", chunked("5;a=\r\nhello\r\n0\r\n\r\n")},
      {"bytes after a quoted extension", chunked("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n")},
      {"a chunk that is longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n")},
      {"a chunk without CRLF", chunked("5\r\nhello0\r\n\r\n")},
      {"a chunk with a bare LF", chunked("5\r\nhello\n0\r\n\r\n")},
      {"a chunk with a bare CR", chunked("5\r\nhello\r0\r\n\r\n")},
      {"a bare LF after the last chunk", chunked("0\n\r\n")},
      {"a bare LF as the end", chunked("0\r\n\n")},
      {"a space in a trailer's name", chunked("0\r\nX : a\r\n\r\n")},
      {"a folded trailer", chunked("0\r\nX: a\r\n b\r\n\r\n")},
      {"a control byte in a trailer", chunked("0\r\nX: a\x01\r\n\r\n")},
      {"a bare CR in a trailer", chunked("0\r\nX: a\rb\r\n\r\n")},
      {"a length in the trailers", chunked("0\r\nContent-Length: 5\r\n\r\n")},
      {"an encoding in the trailers", chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n")},
      {"a Host in the trailers", chunked("0\r\nHost: b\r\n\r\n")},
      {"a request in the place of trailers", chunked("0\r\nGET / HTTP/1.1\r\n\r\n")},
  };
}

struct Outcome {
  std::string events;
  std::string sent;
  bool done;
  size_t kept;
  bool operator==(const Outcome&) const = default;
};

/// Feeds [0, split) and [split, end), each as one read; or byte by byte.
Outcome outcome_of(const Refusal& refusal, size_t split, bool by_bytes = false) {
  ServerRecord server;
  answer_all(server);
  if (by_bytes) {
    server.feed_bytes(refusal.bytes);
  } else {
    server.feed(std::string_view(refusal.bytes).substr(0, split));
    server.feed(std::string_view(refusal.bytes).substr(split));
  }
  return {server.events(), server.sent(), server.codec.done(), server.kept()};
}

void check_refusals(const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    CAPTURE(refusal.why);
    const Outcome whole = outcome_of(refusal, 0);
    CHECK(whole.events.ends_with(std::string("error ") + refusal.error + "\n"));
    CHECK(whole.events.find("request 2") == std::string::npos);
    CHECK(whole.sent.find("\r\nconnection: close\r\n") != std::string::npos);
    CHECK(whole.done);
    for (size_t split = 1; split < refusal.bytes.size(); ++split) {
      CAPTURE(split);
      CHECK(outcome_of(refusal, split) == whole);
    }
    CHECK(outcome_of(refusal, 0, true) == whole);
  }
}

TEST_CASE("ambiguous framing of a request is refused, however it is split") {
  check_refusals(framing_refusals());
}

TEST_CASE("malformed fields of a request are refused, however they are split") {
  check_refusals(field_refusals());
}

TEST_CASE("malformed request lines are refused, however they are split") {
  check_refusals(request_line_refusals());
}

TEST_CASE("malformed chunks of a request are refused, however they are split") {
  check_refusals(chunk_refusals());
}

TEST_CASE("what follows a refused request is not read") {
  ServerRecord server;
  answer_all(server);
  server.feed(get("Content-Length: 5\r\nContent-Length: 5\r\n") +
              "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(server.streams() == 1);
  server.feed("GET /evil HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(server.streams() == 1);
  CHECK(server.kept() == 0);
}

TEST_CASE("extensions that add up are refused") {
  ServerRecord server;
  answer_all(server);
  server.feed(chunked(""));
  for (int i = 0; i < 50; ++i) server.feed("1;" + std::string(200, 'a') + "\r\nx\r\n");
  CHECK(server.events().ends_with("error bad_request\n"));
}

TEST_CASE("trailers keep to the limits of heads") {
  Limits limits;
  limits.header_count = 3;
  limits.header_bytes = 100;
  ServerRecord server(limits);
  server.feed(chunked("0\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n"));
  CHECK(server.events().ends_with("error headers_too_large\n"));
  ServerRecord other(limits);
  other.feed(chunked("0\r\nA: " + std::string(100, 'a')));
  CHECK(other.events().ends_with("error headers_too_large\n"));
}

TEST_CASE("H14: a transfer coding before chunked is not implemented") {
  for (const std::string_view fields :
       {"Transfer-Encoding: deflate, chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: x-new;q=1, Chunked\r\n", "Transfer-Encoding: a,b , chunked\r\n"}) {
    CAPTURE(fields);
    ServerRecord server;
    server.feed(get(fields));
    CHECK(server.events().ends_with("error transfer_coding_unsupported\n"));
  }
}

TEST_CASE("H14: what says nothing sound before chunked stays ambiguous") {
  for (const std::string_view fields :
       {"Transfer-Encoding: gz ip, chunked\r\n", "Transfer-Encoding: \"gzip\", chunked\r\n",
        "Transfer-Encoding: gzip, chunked, chunked\r\n", "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked, gzip\r\n", "Transfer-Encoding: gzip, xchunked\r\n"}) {
    CAPTURE(fields);
    ServerRecord server;
    server.feed(get(fields));
    CHECK(server.events().ends_with("error bad_request\n"));
  }
}

TEST_CASE("H23: a higher minor version is HTTP/1.1") {
  for (const std::string_view version : {"HTTP/1.2", "HTTP/1.3", "HTTP/1.9"}) {
    CAPTURE(version);
    ServerRecord server;
    server.feed("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n");
    REQUIRE(server.streams() == 1);
    CHECK(server.stream().head.version == Version::Http11);
    CHECK(server.events().find("error") == std::string::npos);
    server.stream().answer(200);
    CHECK(server.sent().find("connection: close") == std::string::npos);
  }
}

}  // namespace
}  // namespace tidegate::http::http1
