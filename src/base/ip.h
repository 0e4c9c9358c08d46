// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

/// An IPv4 or IPv6 address; IPv4 is kept in its IPv6-mapped form, so that both compare alike.
class IpAddress {
 public:
  IpAddress() = default;
  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress v4(uint32_t host_order);
  static IpAddress v6(const std::array<uint8_t, 16>& bytes);

  bool is_v4() const;
  bool is_loopback() const;
  bool is_private() const;  // RFC 1918, RFC 4193, link-local, loopback
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  std::string to_string() const;
  /// Writes the text to `to` (at least 46 chars) and gives its length.
  size_t write(char* to) const;
  bool operator==(const IpAddress&) const = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

/// A block of addresses, "10.0.0.0/8", "::1", "fd00::/8".
class Cidr {
 public:
  static std::optional<Cidr> parse(std::string_view text);
  bool contains(const IpAddress& address) const;
  /// The lowest and the highest address in it; IPv4 in the mapped form.
  const std::array<uint8_t, 16>& first() const { return prefix_; }
  std::array<uint8_t, 16> last() const;
  std::string to_string() const;  // "10.0.0.0/8"

 private:
  std::array<uint8_t, 16> prefix_{};
  uint8_t bits_ = 0;  // in the mapped form
};

bool contains(const std::vector<Cidr>& blocks, const IpAddress& address);

}  // namespace tidegate
