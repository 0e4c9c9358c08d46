// SPDX-License-Identifier: Apache-2.0
#include "http/host.h"

#include <array>
#include <cstddef>
#include <cstring>

#include "base/ip.h"
#include "base/strings.h"

namespace tidegate::http {
namespace {

constexpr size_t kMaxHost = 255;  // RFC 1035 2.3.4

// Bits, so that a name's characters can be summed up.
enum Kind : uint8_t { kPlain = 0, kUpper = 1, kDot = 2, kRefused = 4 };

constexpr std::array<uint8_t, 256> build_kinds() {
  std::array<uint8_t, 256> kinds{};
  kinds.fill(kRefused);
  for (char c = '0'; c <= '9'; ++c) kinds[static_cast<uint8_t>(c)] = kPlain;
  for (char c = 'a'; c <= 'z'; ++c) kinds[static_cast<uint8_t>(c)] = kPlain;
  for (char c = 'A'; c <= 'Z'; ++c) kinds[static_cast<uint8_t>(c)] = kUpper;
  for (char c : std::string_view("-_~")) kinds[static_cast<uint8_t>(c)] = kPlain;
  kinds['.'] = kDot;
  return kinds;
}

constexpr std::array<uint8_t, 256> kKinds = build_kinds();

struct Scan {
  bool sound;
  bool has_upper;
};

Scan scan_name(std::string_view name) {
  unsigned sum = 0;
  unsigned last = kDot;  // an empty label begins
  bool has_empty_label = false;
  for (char c : name) {
    const unsigned kind = kKinds[static_cast<uint8_t>(c)];
    sum |= kind;
    has_empty_label |= (kind & last & kDot) != 0;
    last = kind;
  }
  return {(sum & kRefused) == 0 && !has_empty_label, (sum & kUpper) != 0};
}

std::string_view lower(std::string_view text, Arena& arena) {
  char* to = arena.chars(text.size());
  for (size_t i = 0; i < text.size(); ++i) to[i] = ascii_lower(text[i]);
  return {to, text.size()};
}

/// "[v6]", checked; in the form that IpAddress writes, so that equal addresses are equal texts.
Result<std::string_view> literal(std::string_view host, Arena& arena) {
  const auto address = IpAddress::parse(host.substr(1, host.size() - 2));
  if (!address || host.find(':') == std::string_view::npos) {
    return tl::unexpected(ErrorCode::BadRequest);
  }
  std::array<char, 46> text;
  const std::string_view written(text.data(), address->write(text.data()));
  if (written == host.substr(1, host.size() - 2)) return host;
  // ::ffff:1.2.3.4 is an IPv4 address, whose text stands without brackets.
  return address->is_v4() ? arena.copy(written) : arena.join("[", written, "]");
}

}  // namespace

Result<HostPort> split_authority(std::string_view authority, Arena& arena) {
  HostPort result;
  if (authority.empty()) return result;
  const bool is_literal = authority.front() == '[';
  const size_t end = is_literal ? authority.find(']') + 1 : authority.find(':');
  if (is_literal && end == 0) return tl::unexpected(ErrorCode::BadRequest);
  std::string_view host = authority.substr(0, end);
  if (host.size() < authority.size()) {
    if (authority[host.size()] != ':') return tl::unexpected(ErrorCode::BadRequest);
    const std::string_view port = authority.substr(host.size() + 1);
    if (!port.empty()) {
      const auto number = parse_decimal(port, UINT16_MAX);
      if (!number) return tl::unexpected(ErrorCode::BadRequest);
      result.port = static_cast<uint16_t>(*number);
    }
  }
  if (is_literal) {
    auto text = literal(host, arena);
    if (!text) return tl::unexpected(text.error());
    result.host = *text;
    return result;
  }
  if (host.empty() || host.size() > kMaxHost) return tl::unexpected(ErrorCode::BadRequest);
  const Scan scan = scan_name(host);
  if (!scan.sound) return tl::unexpected(ErrorCode::BadRequest);
  if (host.back() == '.') host.remove_suffix(1);
  result.host = scan.has_upper ? lower(host, arena) : host;
  return result;
}

}  // namespace tidegate::http
