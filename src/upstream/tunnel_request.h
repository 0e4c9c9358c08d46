// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::upstream {

/// Asks an HTTP proxy for a tunnel to a host (RFC 9110 9.3.6) and reads what it answers. Pure.
class TunnelRequest {
 public:
  /// `receive` passes over Interim, a 1xx before the answer.
  enum class State : uint8_t { More, Open, Refused, Unauthorized, Malformed, Interim };

  /// `target`: "host:port". `authorization`: of Proxy-Authorization; empty: none.
  static std::string text(std::string_view target, std::string_view authorization);

  /// Reads on. `taken`: how many of `bytes` belong to the answer; behind an open tunnel's head
  /// comes what the origin sends.
  State receive(std::string_view bytes, size_t& taken);
  /// The first line of the answer, as far as it may stand in a log.
  std::string detail() const;

 private:
  State judge() const;

  std::string head_;
  unsigned interims_ = 0;
};

}  // namespace tidegate::upstream
