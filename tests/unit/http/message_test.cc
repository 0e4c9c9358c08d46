// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <doctest/doctest.h>

namespace tidegate::http {

TEST_CASE("methods are told apart by their exact name") {
  CHECK(method_of("GET") == Method::Get);
  CHECK(method_of("HEAD") == Method::Head);
  CHECK(method_of("POST") == Method::Post);
  CHECK(method_of("PUT") == Method::Put);
  CHECK(method_of("DELETE") == Method::Delete);
  CHECK(method_of("CONNECT") == Method::Connect);
  CHECK(method_of("OPTIONS") == Method::Options);
  CHECK(method_of("TRACE") == Method::Trace);
  CHECK(method_of("PATCH") == Method::Patch);
  for (std::string_view name : {"", "get", "Get", "GETS", "GE", "PROPFIND", "PUTT", "QUERY"}) {
    CAPTURE(name);
    CHECK(method_of(name) == Method::Other);
  }
}

TEST_CASE("a method is idempotent where RFC 9110 says so") {
  for (Method method :
       {Method::Get, Method::Head, Method::Put, Method::Delete, Method::Options, Method::Trace}) {
    CHECK(is_idempotent(method));
  }
  for (Method method : {Method::Post, Method::Patch, Method::Connect, Method::Other}) {
    CHECK_FALSE(is_idempotent(method));
  }
}

TEST_CASE("registered statuses have their phrase, others none") {
  CHECK(reason_phrase(100) == "Continue");
  CHECK(reason_phrase(103) == "Early Hints");
  CHECK(reason_phrase(200) == "OK");
  CHECK(reason_phrase(308) == "Permanent Redirect");
  CHECK(reason_phrase(404) == "Not Found");
  CHECK(reason_phrase(413) == "Content Too Large");
  CHECK(reason_phrase(431) == "Request Header Fields Too Large");
  CHECK(reason_phrase(502) == "Bad Gateway");
  CHECK(reason_phrase(511) == "Network Authentication Required");
  for (unsigned status : {0u, 99u, 199u, 299u, 306u, 418u, 499u, 509u, 512u, 600u, 65535u}) {
    CAPTURE(status);
    CHECK(reason_phrase(status).empty());
  }
}

}  // namespace tidegate::http
