// SPDX-License-Identifier: Apache-2.0
#include "config/no_proxy.h"

#include <doctest/doctest.h>

#include <initializer_list>

namespace tidegate::config {
namespace {

NoProxy listing(std::initializer_list<const char*> entries) {
  NoProxy list;
  for (const char* entry : entries) REQUIRE(list.add(entry));
  return list;
}

TEST_CASE("a host stands for itself and all below it, with or without a dot before") {
  for (const char* entry : {"example.com", ".example.com", "*.example.com", "EXAMPLE.com"}) {
    CAPTURE(entry);
    const NoProxy list = listing({entry});
    CHECK(list.matches("example.com", 80));
    CHECK(list.matches("api.example.com", 80));
    CHECK(list.matches("api.example.com.", 80));
    CHECK_FALSE(list.matches("notexample.com", 80));
    CHECK_FALSE(list.matches("example.com.evil", 80));
  }
}

TEST_CASE("addresses and blocks match addresses") {
  const NoProxy list = listing({"10.0.0.0/8", "192.0.2.1", "::1", "[2001:db8::1]:443", "fd00::/8"});
  CHECK(list.matches("10.1.2.3", 80));
  CHECK(list.matches("192.0.2.1", 80));
  CHECK_FALSE(list.matches("192.0.2.2", 80));
  CHECK(list.matches("::1", 80));
  CHECK(list.matches("2001:db8::1", 443));
  CHECK_FALSE(list.matches("2001:db8::1", 80));
  CHECK(list.matches("fd12::1", 80));
  CHECK_FALSE(list.matches("10.example.com", 80));
}

TEST_CASE("a port narrows an entry") {
  const NoProxy list = listing({"example.com:8443", "10.0.0.0/8:81"});
  CHECK(list.matches("api.example.com", 8443));
  CHECK_FALSE(list.matches("api.example.com", 443));
  CHECK(list.matches("10.0.0.1", 81));
  CHECK_FALSE(list.matches("10.0.0.1", 80));
}

TEST_CASE("a star stands for all") {
  CHECK(listing({"*"}).matches("example.com", 1));
  CHECK_FALSE(listing({}).matches("example.com", 1));
}

TEST_CASE("what is neither is refused") {
  for (const char* entry :
       {"", "a b", "example.com:0", "example.com:x", "http://x", "[::1", "10.0.0.0/33"}) {
    CAPTURE(entry);
    NoProxy list;
    CHECK_FALSE(list.add(entry));
  }
}

}  // namespace
}  // namespace tidegate::config
