// SPDX-License-Identifier: Apache-2.0
#include "net/tls_names.h"

#include <doctest/doctest.h>

using tidegate::net::TlsNames;

namespace {

TlsNames names() {
  TlsNames made;
  made.add("*.example.com", 0);
  made.add("API.example.com", 1);
  made.add("api.example.com", 2);
  made.add("example.org.", 3);
  return made;
}

}  // namespace

TEST_CASE("an exact name comes before a wildcard, and the first certificate before later ones") {
  CHECK(names().find("api.example.com") == 1);
  CHECK(names().find("www.example.com") == 0);
}

TEST_CASE("case and the root's dot make no difference") {
  CHECK(names().find("WWW.Example.COM.") == 0);
  CHECK(names().find("Example.org") == 3);
}

TEST_CASE("a wildcard stands for exactly one label") {
  CHECK_FALSE(names().find("a.b.example.com"));
  CHECK_FALSE(names().find("example.com"));
  CHECK_FALSE(names().find(".example.com"));
}

TEST_CASE("what no certificate is for is not found") {
  CHECK_FALSE(names().find("example.net"));
  CHECK_FALSE(names().find("localhost"));
  CHECK_FALSE(names().find(""));
}
