// SPDX-License-Identifier: Apache-2.0
#include "http/http1/field_parser.h"

#include <cstring>

#include "http/http1/bytes.h"

namespace tidegate::http::http1 {
namespace {

struct Name {
  char* end;        // the first byte that is no token byte
  bool underscore;  // holds '_'
};

/// Lower-cases the token at `at` in place.
inline Name lower_name(char* at) {
  uint8_t seen = 0;
  for (;; ++at) {
    const uint8_t byte = kNameBytes[static_cast<uint8_t>(*at)];
    if (byte == 0) return {at, (seen & 0x80) != 0};
    seen |= byte;
    *at = static_cast<char>(byte & 0x7f);
  }
}

}  // namespace

HeadBlock copy_block(Arena& arena, std::string_view block) {
  char* begin = arena.chars(block.size() + kScanSlack);
  std::memcpy(begin, block.data(), block.size());
  std::memset(begin + block.size(), 0, kScanSlack);
  return {begin, begin + block.size()};
}

bool parse_fields(HeadBlock fields, uint32_t lines, FieldFilter filter, Headers& to) {
  to.reserve(lines + 1);  // and one that the proxy adds, such as Date
  char* at = fields.begin;
  while (fields.end - at > 2) {
    char* const name = at;
    const Name parsed = lower_name(name);
    at = parsed.end;
    if (at == name || *at != ':') return false;
    const std::string_view name_text(name, static_cast<size_t>(at - name));
    do ++at;
    while (is_blank(*at));
    char* const value = at;
    at = find_value_end(value);
    if (at[0] != '\r' || at[1] != '\n') return false;
    const char* value_end = at;
    while (value_end != value && is_blank(value_end[-1])) --value_end;
    at += 2;
    if (parsed.underscore && filter == FieldFilter::DropUnderscores) continue;
    to.add(header_id(name_text), name_text, {value, static_cast<size_t>(value_end - value)});
  }
  return true;
}

bool parse_trailers(std::string_view block, uint32_t lines, FieldRules rules, Headers& to) {
  if (lines == 0) return true;
  if (!parse_fields(copy_block(to.arena(), block), lines, rules.filter, to)) return false;
  return sift_trailers(to, rules.message);
}

}  // namespace tidegate::http::http1
