// SPDX-License-Identifier: Apache-2.0
#include "http/header_id.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace tidegate::http {
namespace {

constexpr size_t kCount = static_cast<size_t>(HeaderId::Count_);
static_assert(kCount <= 64, "Headers keeps a bit for each");

// In the order of the enumerators.
constexpr std::array<std::string_view, kCount> kNames{
    "",
    "accept",
    "accept-encoding",
    "age",
    "alt-svc",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "early-data",
    "etag",
    "expect",
    "forwarded",
    "grpc-status",
    "grpc-timeout",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "last-modified",
    "location",
    "origin",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "retry-after",
    "sec-websocket-accept",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
};
static_assert(!kNames.back().empty(), "a name for each enumerator");

// A perfect hash: length and four characters tell all names apart, and the multiplier is searched
// by the compiler until no two names share a slot. So a look-up is one multiplication and one
// comparison of texts.
constexpr unsigned kSlotBits = 9;

constexpr uint32_t slot_of(std::string_view name, uint32_t multiplier) {
  const auto at = [name](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(name[i])); };
  const size_t size = name.size();
  const uint32_t key = at(0) | at(size / 2) << 8 | at(size - 1) << 16 | at(size - 2) << 24;
  return ((key ^ static_cast<uint32_t>(size) * 0x9e3779b1u) * multiplier) >> (32 - kSlotBits);
}

struct Table {
  uint32_t multiplier = 0;
  std::array<uint8_t, size_t{1} << kSlotBits> slots{};
};

constexpr bool fill(Table& table, uint32_t multiplier) {
  table = Table{};
  table.multiplier = multiplier;
  for (size_t id = 1; id < kCount; ++id) {
    uint8_t& slot = table.slots[slot_of(kNames[id], multiplier)];
    if (slot != 0) return false;
    slot = static_cast<uint8_t>(id);
  }
  return true;
}

consteval Table build() {
  Table table;
  uint32_t multiplier = 0x85ebca6bu;
  while (!fill(table, multiplier)) multiplier = multiplier * 1664525u + 1013904223u;
  return table;
}

constexpr Table kTable = build();

}  // namespace

HeaderId header_id(std::string_view name) {
  if (name.size() < 2) return HeaderId::Other;
  const uint8_t id = kTable.slots[slot_of(name, kTable.multiplier)];
  const std::string_view candidate = kNames[id];
  if (candidate.size() != name.size()) return HeaderId::Other;
  if (std::memcmp(candidate.data(), name.data(), name.size()) != 0) return HeaderId::Other;
  return static_cast<HeaderId>(id);
}

std::string_view name_of(HeaderId id) {
  return kNames[static_cast<size_t>(id)];
}

}  // namespace tidegate::http
