// SPDX-License-Identifier: Apache-2.0
// What single bytes may stand where in HTTP/1.x, as lookup tables.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace tidegate::http::http1 {

namespace detail {

constexpr std::array<uint8_t, 256> make_name_bytes() {
  std::array<uint8_t, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = static_cast<uint8_t>(c);
  for (int c = 'a'; c <= 'z'; ++c) table[c] = static_cast<uint8_t>(c);
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = static_cast<uint8_t>(c | 0x20);
  for (const char c : std::string_view("!#$%&'*+-.^`|~")) {
    table[static_cast<uint8_t>(c)] = static_cast<uint8_t>(c);
  }
  table['_'] = '_' | 0x80;
  return table;
}

constexpr std::array<uint8_t, 256> make_hex_digits() {
  std::array<uint8_t, 256> table{};
  for (auto& value : table) value = 0xff;
  for (int c = 0; c < 10; ++c) table['0' + c] = static_cast<uint8_t>(c);
  for (int c = 0; c < 6; ++c) {
    table['a' + c] = table['A' + c] = static_cast<uint8_t>(10 + c);
  }
  return table;
}

}  // namespace detail

/// The lower-cased byte of a token, 0 for what no token holds (RFC 9110 5.6.2). '_' has its high
/// bit set, so that one OR over a name tells whether it holds one.
inline constexpr std::array<uint8_t, 256> kNameBytes = detail::make_name_bytes();
/// Value of a hexadecimal digit, 0xff for anything else.
inline constexpr std::array<uint8_t, 256> kHexDigits = detail::make_hex_digits();

constexpr bool is_token_byte(char c) {
  return kNameBytes[static_cast<uint8_t>(c)] != 0;
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_control(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}
constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

/// `text` equals `lower_case`, which is lower case, without regard to case.
constexpr bool equals_ignoring_case(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

}  // namespace tidegate::http::http1
