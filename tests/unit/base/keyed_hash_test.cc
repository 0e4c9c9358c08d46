// SPDX-License-Identifier: Apache-2.0
#include "base/keyed_hash.h"

#include <doctest/doctest.h>

#include <string>

using tidegate::KeyedHash;

TEST_CASE("the hash is SipHash-2-4") {
  // The vector of the paper: key 00..0f, message 00..0e.
  const KeyedHash hash(0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL);
  std::string message;
  for (char i = 0; i < 15; ++i) message.push_back(i);
  CHECK(hash(message) == 0xa129ca6149be45e5ULL);
}

TEST_CASE("each object has a key of its own") {
  CHECK(KeyedHash()("text") != KeyedHash()("text"));
}
