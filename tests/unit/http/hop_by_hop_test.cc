// SPDX-License-Identifier: Apache-2.0
#include "http/hop_by_hop.h"

#include <doctest/doctest.h>

#include <string>

#include "unit/http/fixture.h"

namespace tidegate::http {
namespace {

struct HopByHopFixture : ArenaFixture {
  RequestHead request{arena};
  ResponseHead response{arena};

  std::string stripped_request(FieldList fields) {
    request.headers.clear();
    add_all(request.headers, fields);
    return strip_hop_by_hop(request) ? text_of(request.headers) : "refused";
  }
  std::string stripped_response(FieldList fields) {
    response.headers.clear();
    add_all(response.headers, fields);
    strip_hop_by_hop(response);
    return text_of(response.headers);
  }
};

}  // namespace

TEST_CASE_FIXTURE(HopByHopFixture, "end-to-end fields of a request stay, in order") {
  CHECK(stripped_request(
            {{"host", "a"}, {"accept", "*/*"}, {"x-one", "1"}, {"expect", "100-continue"}}) ==
        "host: a\naccept: */*\nx-one: 1\nexpect: 100-continue\n");
}

TEST_CASE_FIXTURE(HopByHopFixture, "fields of one connection go from a request") {
  CHECK(stripped_request({{"host", "a"},
                          {"connection", "keep-alive, Upgrade, HTTP2-Settings"},
                          {"keep-alive", "timeout=5"},
                          {"proxy-connection", "keep-alive"},
                          {"transfer-encoding", "chunked"},
                          {"upgrade", "websocket"},
                          {"http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"},
                          {"proxy-authorization", "Basic x"},
                          {"proxy-authenticate", "Basic"},
                          {"proxy-authentication-info", "x"},
                          {"sec-websocket-key", "k"}}) == "host: a\nsec-websocket-key: k\n");
}

TEST_CASE_FIXTURE(HopByHopFixture, "what connection names goes, in any case and from any line") {
  CHECK(stripped_request({{"connection", "close, X-One"},
                          {"x-one", "1"},
                          {"x-two", "2"},
                          {"connection", " ,x-THREE , ,cookie"},
                          {"x-three", "3"},
                          {"cookie", "c"},
                          {"x-one", "11"}}) == "x-two: 2\n");
}

TEST_CASE_FIXTURE(HopByHopFixture,
                  "a connection that names what the proxy vouches for is refused") {
  for (std::string_view name : {"host", "Host", "content-length", "forwarded", "x-forwarded-for",
                                "X-Forwarded-Proto", "x-forwarded-host", "x-forwarded-port",
                                "x-forwarded-server", "x-real-ip", "X-Request-ID"}) {
    CAPTURE(name);
    const std::string value = "close, " + std::string(name);
    CHECK(stripped_request({{"host", "a"}, {"connection", value}}) == "refused");
  }
}

TEST_CASE_FIXTURE(HopByHopFixture, "a connection that names no token is refused") {
  for (std::string_view value :
       {":path", "a b", "x-one; y", "\"quoted\"", "keep-alive; timeout=3", "a/b"}) {
    CAPTURE(value);
    CHECK(stripped_request({{"host", "a"}, {"connection", value}}) == "refused");
  }
}

TEST_CASE_FIXTURE(HopByHopFixture, "a connection that names more than 32 fields is refused") {
  std::string names = "x-0";
  for (int i = 1; i < 32; ++i) names += ",x-" + std::to_string(i);
  CHECK(stripped_request({{"x-31", "1"}, {"connection", names}, {"x-32", "1"}}) == "x-32: 1\n");
  names += ",x-32";
  CHECK(stripped_request({{"connection", names}}) == "refused");
}

TEST_CASE_FIXTURE(HopByHopFixture, "of te only trailers is kept") {
  CHECK(stripped_request({{"te", "trailers"}, {"connection", "TE"}}) == "te: trailers\n");
  CHECK(stripped_request({{"te", "gzip;q=0.5, Trailers"}, {"te", "deflate"}}) == "te: trailers\n");
  CHECK(stripped_request({{"te", "gzip"}}) == "");
  CHECK(stripped_request({{"te", ""}}) == "");
}

TEST_CASE_FIXTURE(HopByHopFixture, "trailer is kept where trailers can follow") {
  request.body = response.body = BodyKind::Streamed;
  CHECK(stripped_request({{"trailer", "x-sum"}}) == "trailer: x-sum\n");
  CHECK(stripped_response({{"trailer", "x-sum"}}) == "trailer: x-sum\n");
  request.body = response.body = BodyKind::Sized;
  CHECK(stripped_request({{"trailer", "x-sum"}}) == "");
  CHECK(stripped_response({{"trailer", "x-sum"}}) == "");
}

TEST_CASE_FIXTURE(HopByHopFixture, "fields of one connection go from a response") {
  response.status = 200;
  CHECK(stripped_response({{"server", "o"},
                           {"connection", "close, x-one"},
                           {"x-one", "1"},
                           {"keep-alive", "timeout=5"},
                           {"alt-svc", "h3=\":443\""},
                           {"transfer-encoding", "chunked"},
                           {"upgrade", "h2c"},
                           {"proxy-authenticate", "Basic"},
                           {"content-type", "text/plain"}}) ==
        "server: o\ncontent-type: text/plain\n");
}

TEST_CASE_FIXTURE(HopByHopFixture,
                  "the upgrade of a 101 says which protocol was agreed on and stays") {
  response.status = 101;
  CHECK(stripped_response({{"connection", "upgrade"}, {"upgrade", "websocket"}}) ==
        "upgrade: websocket\n");
}

TEST_CASE_FIXTURE(HopByHopFixture,
                  "a response is not withheld for what its connection names wrongly") {
  response.status = 200;
  CHECK(stripped_response({{"connection", "x-one, a b"}, {"x-one", "1"}, {"age", "1"}}) ==
        "age: 1\n");
}

}  // namespace tidegate::http
