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
        "204 No Content {content-length: 0} end\n");
  CHECK(events_of("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") ==
        "304 Not Modified {content-length: 5} end\n");
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
