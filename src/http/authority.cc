// SPDX-License-Identifier: Apache-2.0
#include "http/authority.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/strings.h"

namespace tidegate::http {
namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr std::array<bool, 256> make_host_bytes() {
  std::array<bool, 256> table{};
  for (int c = 0; c < 128; ++c) {
    const int folded = c | 0x20;
    table[c] = (c >= '0' && c <= '9') || (folded >= 'a' && folded <= 'z');
  }
  for (const char c : std::string_view("-._~")) table[static_cast<uint8_t>(c)] = true;
  return table;
}

constexpr std::array<bool, 256> kHostBytes = make_host_bytes();

bool is_port(std::string_view text) {
  if (text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  unsigned port = 0;
  for (const char c : text) port = port * 10 + static_cast<unsigned>(c - '0');
  return port <= 65535;
}

/// "[" IPv6 address "]", roughly: its exact form is the resolver's business.
size_t bracketed_size(std::string_view text) {
  const size_t close = text.find(']');
  if (close == std::string_view::npos || close < 3) return 0;
  const std::string_view inside = text.substr(1, close - 1);
  const bool fine = std::all_of(inside.begin(), inside.end(),
                                [](char c) { return c == ':' || c == '.' || hex_value(c) >= 0; });
  return fine && inside.find(':') != std::string_view::npos ? close + 1 : 0;
}

}  // namespace

bool is_authority(std::string_view text) {
  size_t host = 0;
  if (!text.empty() && text.front() == '[') {
    host = bracketed_size(text);
  } else {
    while (host < text.size() && kHostBytes[static_cast<uint8_t>(text[host])]) ++host;
  }
  if (host == 0) return false;
  return host == text.size() || (text[host] == ':' && is_port(text.substr(host + 1)));
}

}  // namespace tidegate::http
