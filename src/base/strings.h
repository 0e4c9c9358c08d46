// SPDX-License-Identifier: Apache-2.0
// Small functions on ASCII text that more than one folder needs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}
std::string ascii_lower(std::string_view text);
/// Equal but for the case of ASCII letters.
bool iequals(std::string_view a, std::string_view b);

/// Value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// tchar of RFC 9110 5.6.2.
bool is_token_char(char c);
bool is_token(std::string_view text);

std::string_view trim_ends(std::string_view text);
/// Without spaces and tabs at both ends (OWS, RFC 9110 5.6.3).
[[gnu::always_inline]] inline std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  if (text.empty() || (!blank(text.front()) && !blank(text.back()))) return text;  // nearly always
  return trim_ends(text);
}

/// Digits only, at least one, at most `max`; no sign, no space.
std::optional<uint64_t> parse_decimal(std::string_view text, uint64_t max = UINT64_MAX);
std::optional<uint64_t> parse_hex(std::string_view text);

/// Calls `use` with each element of a comma list, trimmed; empty ones are passed over (RFC 9110
/// 5.6.1). `use` gives false to stop. The result is false if it did.
template <class Use>
bool for_each_element(std::string_view list, Use&& use) {
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view element = trim(list.substr(0, comma));
    if (!element.empty() && !use(element)) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

/// Letters to insert, delete or replace to make `b` of `a`; for "did you mean".
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace tidegate
