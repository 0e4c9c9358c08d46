// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/http1/client_record.h"

namespace tidegate::http::http1 {
namespace {

std::string events_of(std::string_view bytes, std::string_view method = "GET") {
  ClientRecord client;
  client.get(method);
  client.feed(bytes);
  return client.events();
}

TEST_CASE("a response head is taken apart, its names lower-cased and its values trimmed") {
  CHECK(events_of("HTTP/1.1 200 Very Fine \xc3\xa9\r\nServer: \t x \r\nX:\r\nContent-Length: 5\r\n"
                  "\r\nhello") ==
        "200 Very Fine \xc3\xa9 {server: x, x: , content-length: 5} sized 5\nbody hello\nend\n");
  CHECK(events_of("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n") ==
        "200  {content-length: 0} sized 0 end\n");
}

TEST_CASE("a status line may lack the reason together with its space") {
  CHECK(events_of("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n") ==
        "200  {content-length: 0} sized 0 end\n");
}

TEST_CASE("a chunked response comes without its chunks and with its trailers") {
  CHECK(events_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5;a\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 7\r\n\r\n") ==
        "200 OK {transfer-encoding: chunked} streamed\nbody hello!\nend {x-sum: 7}\n");
}

TEST_CASE("a response without a length goes to the close of the connection") {
  ClientRecord client;
  client.get();
  client.feed("HTTP/1.1 200 OK\r\n\r\nhello");
  client.feed(" world");
  client.eof();
  CHECK(client.events() == "200 OK streamed\nbody hello world\nend\n");
  CHECK(client.codec.done());
  CHECK(client.codec.idle());
}

TEST_CASE("responses to HEAD, 204 and 304 have no body, but say what they said") {
  CHECK(events_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD") ==
        "200 OK {content-length: 5} end\n");
  CHECK(events_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD") ==
        "200 OK {transfer-encoding: chunked} end\n");
  CHECK(events_of("HTTP/1.1 204 No Content\r\n\r\n") == "204 No Content end\n");
  CHECK(events_of("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n") ==
        "204 No Content end\n");
  CHECK(events_of("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") ==
        "304 Not Modified {content-length: 5} end\n");
}

TEST_CASE("H5: 1xx and 204 end with their head, whatever they announce") {
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  for (const std::string_view framing :
       {"Transfer-Encoding: chunked\r\n", "Content-Length: 10\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 1, 2\r\n",
        "Transfer-Encoding: gzip, chunked\r\n"}) {
    CAPTURE(framing);
    ClientRecord client;
    client.get();
    client.feed("HTTP/1.1 204 No Content\r\n" + std::string(framing) + "A: b\r\n\r\n");
    CHECK(client.events() == "204 No Content {a: b} end\n");
    CHECK(client.codec.done());

    ClientRecord hinted;
    hinted.get();
    hinted.feed("HTTP/1.1 103 Early Hints\r\n" + std::string(framing) + "\r\n" + ok);
    CHECK(hinted.events() == "interim 103 Early Hints\n200 OK {content-length: 0} sized 0 end\n");
    CHECK(hinted.codec.done());
  }
}

TEST_CASE("H5: a length of 0 on a 204 leaves the connection fit for another request") {
  ClientRecord client;
  client.get();
  client.feed("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
  CHECK(client.codec.can_open());
}

TEST_CASE("H18: one empty line before a status line is passed over, wherever it is split") {
  const std::string bytes =
      "\r\nHTTP/1.1 103 Early Hints\r\n\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  for (size_t split = 0; split < bytes.size(); ++split) {
    CAPTURE(split);
    ClientRecord client;
    client.get();
    client.feed(std::string_view(bytes).substr(0, split));
    client.feed(std::string_view(bytes).substr(split));
    CHECK(client.events() ==
          "interim 103 Early Hints\n200 OK {content-length: 2} sized 2\nbody ok\nend\n");
    CHECK(client.codec.can_open());
  }
}

TEST_CASE("H18: an empty line behind a response ends the connection") {
  ClientRecord client;
  client.get();
  client.feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\r\n");
  CHECK(client.codec.done());
}

TEST_CASE("H23: an origin's higher minor version is HTTP/1.1") {
  CHECK(events_of("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n") ==
        "200 OK {content-length: 0} sized 0 end\n");
  CHECK(events_of("HTTP/1.9 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") ==
        "200 OK {transfer-encoding: chunked} streamed\nend\n");
}

TEST_CASE("H16: what may not stand in trailers is dropped, and the response is whole") {
  for (const std::string_view field : {"Content-Length: 5", "Transfer-Encoding: chunked", "Host: b",
                                       "Set-Cookie: a=1", "X-Forwarded-For: 1.1.1.1"}) {
    CAPTURE(field);
    ClientRecord client;
    client.get();
    client.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" +
                std::string(field) + "\r\nX-Sum: 1\r\n\r\n");
    CHECK(client.events() ==
          "200 OK {transfer-encoding: chunked} streamed\nbody ok\nend {x-sum: 1}\n");
    CHECK(client.codec.can_open());
  }
}

TEST_CASE("interim responses come before the final one") {
  CHECK(events_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
                  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") ==
        "interim 100 Continue\ninterim 103 Early Hints {link: a}\n"
        "200 OK {content-length: 0} sized 0 end\n");
}

TEST_CASE("a response is the same wherever its bytes are split") {
  const std::string bytes =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX_y: z\r\n\r\n"
      "5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n";
  const auto run = [&](size_t split) {
    ClientRecord client;
    client.get();
    client.feed(std::string_view(bytes).substr(0, split));
    client.feed(std::string_view(bytes).substr(split));
    CHECK(client.codec.can_open());
    return client.events();
  };
  const std::string whole = run(0);
  CHECK(whole ==
        "interim 100 Continue\n200 OK {transfer-encoding: chunked} streamed\nbody hello\nend {x: "
        "y}\n");
  for (size_t split = 1; split < bytes.size(); ++split) {
    CAPTURE(split);
    CHECK(run(split) == whole);
  }
  ClientRecord client;
  client.get();
  client.feed_bytes(bytes);
  CHECK(client.events() == whole);
}

}  // namespace
}  // namespace tidegate::http::http1
