// SPDX-License-Identifier: Apache-2.0
#include "http/header_id.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "http/header_table.h"

namespace tidegate::http {
namespace {

constexpr size_t kCount = kKnownHeaders.size();
static_assert(kCount <= 64, "Headers keeps a bit for each");

consteval bool in_order() {
  for (size_t i = 0; i < kCount; ++i) {
    if (kKnownHeaders[i].id != static_cast<HeaderId>(i)) return false;
  }
  return true;
}
static_assert(in_order(), "a row for each enumerator, in their order");

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
    uint8_t& slot = table.slots[slot_of(kKnownHeaders[id].name, multiplier)];
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
  const std::string_view candidate = kKnownHeaders[id].name;
  if (candidate.size() != name.size()) return HeaderId::Other;
  if (std::memcmp(candidate.data(), name.data(), name.size()) != 0) return HeaderId::Other;
  return static_cast<HeaderId>(id);
}

std::string_view name_of(HeaderId id) {
  return kKnownHeaders[static_cast<size_t>(id)].name;
}

namespace {

// Names that need no id: nothing looks for them but the rules of trailers.
constexpr std::array<std::string_view, 14> kOtherHeadOnly{
    "accept-charset",   "accept-language",
    "content-language", "content-location",
    "content-range",    "expires",
    "if-range",         "if-unmodified-since",
    "max-forwards",     "pragma",
    "prefer",           "sec-websocket-extensions",
    "warning",          "x-http-method-override",
};
constexpr HeaderTraits kOfNameOnly = kClaim | kProtected | kHeadOnly;
constexpr size_t kLongest = 64;  // of names that are looked up with '_' for '-'

HeaderTraits traits_of_other(std::string_view name) {
  if (name.starts_with("x-forwarded-")) return kOfNameOnly;
  return std::ranges::find(kOtherHeadOnly, name) == kOtherHeadOnly.end() ? 0 : kHeadOnly;
}

}  // namespace

HeaderTraits traits_of(HeaderId id, std::string_view name) {
  if (id != HeaderId::Other) return kKnownHeaders[static_cast<size_t>(id)].traits;
  if (name.find('_') == std::string_view::npos) return traits_of_other(name);
  std::array<char, kLongest> text;
  const std::string_view twin(text.data(), std::min(name.size(), text.size()));
  std::ranges::replace_copy(name.substr(0, twin.size()), text.begin(), '_', '-');
  if (twin.size() < name.size()) return traits_of_other(twin);
  const HeaderId known = header_id(twin);
  if (known == HeaderId::Other) return traits_of_other(twin);
  return kKnownHeaders[static_cast<size_t>(known)].traits & kOfNameOnly;
}

}  // namespace tidegate::http
