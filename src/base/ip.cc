// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace tidegate {
namespace {

constexpr size_t kMaxText = 45;  // eight groups, the last two written as IPv4
constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// One decimal number without sign or leading zero, at most `max`, from the front of `text`.
std::optional<unsigned> take_number(std::string_view& text, unsigned max) {
  unsigned value = 0;
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (digits > 0 && text.front() == '0') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(text[digits] - '0');
    if (value > max) return std::nullopt;
    ++digits;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

std::optional<uint32_t> parse_v4(std::string_view text) {
  uint32_t address = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (text.empty() || text.front() != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    const auto number = take_number(text, 255);
    if (!number) return std::nullopt;
    address = address << 8 | *number;
  }
  if (!text.empty()) return std::nullopt;
  return address;
}

size_t write_byte(char* to, unsigned value) {
  size_t size = 0;
  if (value >= 100) to[size++] = static_cast<char>('0' + value / 100);
  if (value >= 10) to[size++] = static_cast<char>('0' + value / 10 % 10);
  to[size++] = static_cast<char>('0' + value % 10);
  return size;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    const auto address = parse_v4(text);
    if (!address) return std::nullopt;
    return v4(*address);
  }
  if (text.size() > kMaxText) return std::nullopt;
  std::array<char, kMaxText + 1> terminated{};
  std::copy(text.begin(), text.end(), terminated.begin());
  // A NUL inside would hide what follows it from inet_pton.
  if (std::strlen(terminated.data()) != text.size()) return std::nullopt;
  IpAddress address;
  if (inet_pton(AF_INET6, terminated.data(), address.bytes_.data()) != 1) return std::nullopt;
  return address;
}

IpAddress IpAddress::v4(uint32_t host_order) {
  IpAddress address;
  std::copy(kMapped.begin(), kMapped.end(), address.bytes_.begin());
  for (unsigned i = 0; i < 4; ++i) {
    address.bytes_[12 + i] = static_cast<uint8_t>(host_order >> (24 - 8 * i));
  }
  return address;
}

IpAddress IpAddress::v6(const std::array<uint8_t, 16>& bytes) {
  IpAddress address;
  address.bytes_ = bytes;
  return address;
}

bool IpAddress::is_v4() const {
  return std::equal(kMapped.begin(), kMapped.end(), bytes_.begin());
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[12] == 127;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; });
}

bool IpAddress::is_private() const {
  if (is_loopback()) return true;
  if (is_v4()) {
    const uint8_t a = bytes_[12], b = bytes_[13];
    return a == 10 || (a == 172 && (b & 0xf0) == 16) || (a == 192 && b == 168) ||
           (a == 169 && b == 254);
  }
  return (bytes_[0] & 0xfe) == 0xfc || (bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80);
}

size_t IpAddress::write(char* to) const {
  if (!is_v4()) {
    inet_ntop(AF_INET6, bytes_.data(), to, kMaxText + 1);
    return std::strlen(to);
  }
  size_t size = write_byte(to, bytes_[12]);
  for (size_t i = 13; i < 16; ++i) {
    to[size++] = '.';
    size += write_byte(to + size, bytes_[i]);
  }
  return size;
}

std::string IpAddress::to_string() const {
  std::array<char, kMaxText + 1> text;
  return std::string(text.data(), write(text.data()));
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view address_text = text.substr(0, slash);
  const auto address = IpAddress::parse(address_text);
  if (!address) return std::nullopt;
  const bool as_v4 = address_text.find(':') == std::string_view::npos;
  const unsigned max = as_v4 ? 32 : 128;
  unsigned bits = max;
  if (slash != std::string_view::npos) {
    std::string_view rest = text.substr(slash + 1);
    const auto number = take_number(rest, max);
    if (!number || !rest.empty()) return std::nullopt;
    bits = *number;
  }
  Cidr block;
  block.bits_ = static_cast<uint8_t>(as_v4 ? bits + 96 : bits);
  block.prefix_ = address->bytes();
  for (unsigned bit = block.bits_; bit < 128; ++bit) {
    block.prefix_[bit / 8] &= static_cast<uint8_t>(~(0x80u >> bit % 8));
  }
  return block;
}

bool Cidr::contains(const IpAddress& address) const {
  const size_t whole = bits_ / 8;
  if (std::memcmp(prefix_.data(), address.bytes().data(), whole) != 0) return false;
  if (bits_ % 8 == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff00u >> bits_ % 8);
  return (address.bytes()[whole] & mask) == prefix_[whole];
}

std::array<uint8_t, 16> Cidr::last() const {
  std::array<uint8_t, 16> bytes = prefix_;
  for (size_t bit = bits_; bit < 128; ++bit) {
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] | 0x80u >> bit % 8);
  }
  return bytes;
}

std::string Cidr::to_string() const {
  const IpAddress address = IpAddress::v6(prefix_);
  const bool as_v4 = address.is_v4() && bits_ >= 96;
  return address.to_string() + "/" + std::to_string(as_v4 ? bits_ - 96 : bits_);
}

bool contains(const std::vector<Cidr>& blocks, const IpAddress& address) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&](const Cidr& block) { return block.contains(address); });
}

}  // namespace tidegate
