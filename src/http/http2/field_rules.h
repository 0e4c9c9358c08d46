// SPDX-License-Identifier: Apache-2.0
// Which bytes may stand where (RFC 9113 8.2.1, and what HTTP/1 would refuse).
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace tidegate::http::http2 {

namespace detail {

enum Kind : uint8_t { kName = 1, kUnderscore = 2, kTarget = 4, kValue = 8, kMethod = 16 };

constexpr std::array<uint8_t, 256> make_kinds() {
  std::array<uint8_t, 256> kinds{};
  for (int c = 0; c < 256; ++c) {
    if ((c >= 0x20 && c != 0x7f) || c == '\t') kinds[c] |= kValue;
    if (c > 0x20 && c < 0x7f && c != '#') kinds[c] |= kTarget;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (letter) kinds[c] |= kName | kMethod;
    if (c >= 'A' && c <= 'Z') kinds[c] |= kMethod;
  }
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) {
    kinds[static_cast<uint8_t>(c)] |= kName | kMethod;
  }
  kinds['_'] |= kUnderscore;
  return kinds;
}

inline constexpr std::array<uint8_t, 256> kKinds = make_kinds();

constexpr bool all(std::string_view text, uint8_t kind) {
  uint8_t common = kind;
  for (const char c : text) common &= kKinds[static_cast<uint8_t>(c)];
  return common == kind;
}

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

}  // namespace detail

/// A token without upper-case letters.
constexpr bool is_field_name(std::string_view text) {
  return !text.empty() && detail::all(text, detail::kName);
}
/// No control byte, and no space at either end.
inline bool is_field_value(std::string_view text) {
  if (text.empty()) return true;
  if (detail::is_blank(text.front()) || detail::is_blank(text.back())) return false;
#ifdef __SSE2__
  constexpr size_t kStep = 16;
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; text.size() >= kStep; text.remove_prefix(kStep)) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data()));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const __m128i bad = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low);
    if (_mm_movemask_epi8(_mm_or_si128(bad, _mm_cmpeq_epi8(bytes, del))) != 0) return false;
  }
#endif
  return detail::all(text, detail::kValue);
}
/// Visible ASCII without '#'.
constexpr bool is_target(std::string_view text) {
  return !text.empty() && detail::all(text, detail::kTarget);
}
constexpr bool is_method(std::string_view text) {
  constexpr size_t kMost = 32;
  return !text.empty() && text.size() <= kMost && detail::all(text, detail::kMethod);
}
constexpr bool has_underscore(std::string_view text) {
  return text.find('_') != std::string_view::npos;
}

}  // namespace tidegate::http::http2
