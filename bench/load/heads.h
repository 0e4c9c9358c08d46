// SPDX-License-Identifier: Apache-2.0
// As much of HTTP/1.1 heads as the bench's own ends need, from peers that are known.
#pragma once
#include <algorithm>
#include <charconv>
#include <string_view>

namespace bench {

inline size_t number_at(std::string_view text) {
  size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

inline bool contains_header(std::string_view head, std::string_view lower_case_line) {
  const auto same = [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
  };
  return std::search(head.begin(), head.end(), lower_case_line.begin(), lower_case_line.end(),
                     same) != head.end();
}

/// The value of Content-Length, as the bench's programs and the proxies write it.
inline size_t content_length(std::string_view head) {
  for (const std::string_view name : {"\r\nContent-Length: ", "\r\ncontent-length: "}) {
    const size_t at = head.find(name);
    if (at != std::string_view::npos) return number_at(head.substr(at + name.size()));
  }
  return 0;
}

}  // namespace bench
