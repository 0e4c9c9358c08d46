// SPDX-License-Identifier: Apache-2.0
#include "http/http1/target.h"

#include <algorithm>

#include "http/http1/bytes.h"

namespace tidegate::http::http1 {
namespace {

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
  const bool fine = std::all_of(inside.begin(), inside.end(), [](char c) {
    return c == ':' || c == '.' || kHexDigits[static_cast<uint8_t>(c)] != 0xff;
  });
  return fine && inside.find(':') != std::string_view::npos ? close + 1 : 0;
}

void split_query(std::string_view path_and_query, RequestHead& head) {
  const size_t mark = path_and_query.find('?');
  head.path = path_and_query.substr(0, mark);
  head.has_query = mark != std::string_view::npos;
  if (head.has_query) head.query = path_and_query.substr(mark + 1);
}

bool parse_absolute(RequestHead& head) {
  const size_t colon = head.target.find("://");
  if (colon == std::string_view::npos) return false;
  const std::string_view scheme = head.target.substr(0, colon);
  if (equals_ignoring_case(scheme, "http")) {
    head.scheme = "http";
  } else if (equals_ignoring_case(scheme, "https")) {
    head.scheme = "https";
  } else {
    return false;
  }
  const std::string_view rest = head.target.substr(colon + 3);
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  head.authority = rest.substr(0, end);
  if (!is_authority(head.authority)) return false;
  split_query(rest.substr(end), head);
  if (head.path.empty()) {
    // RFC 9112 3.2.4: OPTIONS for the whole server, as a proxy is asked for it.
    head.path = head.method == Method::Options && !head.has_query ? "*" : "/";
  }
  return true;
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

bool parse_target(RequestHead& head) {
  if (head.method == Method::Connect) {
    head.authority = head.target;
    head.path = "/";
    return is_authority(head.target) && head.target.back() != ':' &&
           head.target.rfind(':') != std::string_view::npos && head.target.back() != ']';
  }
  if (head.target.front() == '/') {
    split_query(head.target, head);
    return true;
  }
  if (head.target == "*") {
    head.path = head.target;
    return head.method == Method::Options;
  }
  return parse_absolute(head);
}

}  // namespace tidegate::http::http1
