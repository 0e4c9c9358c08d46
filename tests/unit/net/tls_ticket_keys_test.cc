// SPDX-License-Identifier: Apache-2.0
#include "net/tls_ticket_keys.h"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using tidegate::TimePoint;
using tidegate::net::TlsTicketKeys;

TEST_CASE("a key seals for an hour and opens for two more") {
  const TimePoint start{};
  TlsTicketKeys keys(start);
  const auto first = keys.keys()->front();
  keys.rotate(start + 59min);
  CHECK(keys.keys()->size() == 1);
  for (int hour = 1; hour <= 2; ++hour) {
    keys.rotate(start + hour * 1h);
    CHECK(keys.keys()->front() != first);
    CHECK(keys.keys()->back() == first);
    CHECK(keys.keys()->size() == static_cast<size_t>(hour) + 1);
  }
  keys.rotate(start + 3h);
  CHECK(keys.keys()->size() == TlsTicketKeys::kKept);
  for (const auto& key : *keys.keys()) CHECK(key != first);
}

TEST_CASE("after a long sleep no old key is left") {
  const TimePoint start{};
  TlsTicketKeys keys(start);
  keys.rotate(start + 1h);
  const auto before = *keys.keys();
  keys.rotate(start + 100h + 30min);
  for (const auto& old : before) {
    for (const auto& key : *keys.keys()) CHECK(key->name != old->name);
  }
  const auto now = keys.keys()->front();
  keys.rotate(start + 100h + 59min);
  CHECK(keys.keys()->front() == now);
  keys.rotate(start + 101h);
  CHECK(keys.keys()->front() != now);
}

TEST_CASE("who holds the keys keeps them over a rotation") {
  TlsTicketKeys keys(TimePoint{});
  const auto held = keys.keys();
  keys.rotate(TimePoint{} + 10h);
  CHECK(held->size() == 1);
  CHECK(held != keys.keys());
}
