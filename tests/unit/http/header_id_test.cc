// SPDX-License-Identifier: Apache-2.0
#include "http/header_id.h"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>

namespace tidegate::http {

TEST_CASE("every known name leads to its id and back") {
  for (unsigned i = 1; i < static_cast<unsigned>(HeaderId::Count_); ++i) {
    const auto id = static_cast<HeaderId>(i);
    CAPTURE(name_of(id));
    CHECK(name_of(id).size() >= 2);
    CHECK(header_id(name_of(id)) == id);
  }
}

TEST_CASE("names stand beside their enumerators") {
  CHECK(name_of(HeaderId::Other).empty());
  CHECK(header_id("te") == HeaderId::Te);
  CHECK(header_id("etag") == HeaderId::ETag);
  CHECK(header_id("host") == HeaderId::Host);
  CHECK(header_id("via") == HeaderId::Via);
  CHECK(header_id("http2-settings") == HeaderId::Http2Settings);
  CHECK(header_id("proxy-authentication-info") == HeaderId::ProxyAuthenticationInfo);
  CHECK(header_id("sec-websocket-key") == HeaderId::SecWebSocketKey);
  CHECK(header_id("www-authenticate") == HeaderId::WwwAuthenticate);
  CHECK(header_id("x-forwarded-host") == HeaderId::XForwardedHost);
  CHECK(header_id("x-forwarded-port") == HeaderId::XForwardedPort);
  CHECK(header_id("x-real-ip") == HeaderId::XRealIp);
  CHECK(header_id("x-request-id") == HeaderId::XRequestId);
}

TEST_CASE("names that nearly are known are other") {
  for (std::string_view name : {"", "t", "tf", "hosts", "hos", "hast", "x-forwarded-", "via ",
                                "x_real_ip", "content-lenght", "x-forwarded-hort", "set-cookie2"}) {
    CAPTURE(name);
    CHECK(header_id(name) == HeaderId::Other);
  }
}

TEST_CASE("random names are other unless they are known") {
  std::mt19937 random(7);
  std::set<std::string_view> known;
  for (unsigned i = 1; i < static_cast<unsigned>(HeaderId::Count_); ++i) {
    known.insert(name_of(static_cast<HeaderId>(i)));
  }
  for (int round = 0; round < 20000; ++round) {
    std::string name(random() % 24, ' ');
    for (char& c : name) c = "abcdehiorstwx-"[random() % 14];
    CHECK((header_id(name) != HeaderId::Other) == known.contains(name));
  }
}

}  // namespace tidegate::http
