// SPDX-License-Identifier: Apache-2.0
#include "net/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace tidegate::net {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kVersion1 = "PROXY ";
constexpr size_t kLongestLine = 107;  // of version 1, with its CRLF
constexpr size_t kFixedPart = 16;     // of version 2: signature, command, family, length
constexpr uint8_t kChecksum = 0x03;   // type of the TLV

enum Family : uint8_t { kUnspecified = 0x0, kInet = 0x1, kInet6 = 0x2, kUnix = 0x3 };
constexpr uint8_t kStream = 0x1;

uint8_t byte_at(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

uint16_t word_at(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

ProxyParsed malformed(std::string_view fault) {
  return {ProxyParse::Malformed, 0, {}, fault};
}

/// Whether `bytes` begin with `whole`, or can still come to.
bool can_begin(std::string_view bytes, std::string_view whole) {
  const size_t size = std::min(bytes.size(), whole.size());
  return bytes.substr(0, size) == whole.substr(0, size);
}

// ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" ----

std::string_view take_word(std::string_view& line) {
  const size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

std::optional<uint16_t> port_of(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > 65535) return {};
  if (text.size() > 1 && text.front() == '0') return {};
  return static_cast<uint16_t>(value);
}

std::optional<IpAddress> ip_of(std::string_view text, bool v4) {
  const auto ip = IpAddress::parse(text);
  const bool dotted = text.find(':') == std::string_view::npos;
  return ip && dotted == v4 ? ip : std::nullopt;
}

ProxyParsed parse_line(std::string_view line, size_t size) {
  ProxyParsed parsed{ProxyParse::Done, size, {}, {}};
  const std::string_view family = take_word(line);
  if (family == "UNKNOWN") return parsed;
  if (family != "TCP4" && family != "TCP6") return malformed("unknown protocol family");
  const bool v4 = family == "TCP4";
  const auto source = ip_of(take_word(line), v4);
  const auto destination = ip_of(take_word(line), v4);
  const auto source_port = port_of(take_word(line));
  const auto destination_port = port_of(take_word(line));
  if (!source || !destination) return malformed("not an address of its family");
  if (!source_port || !destination_port || !line.empty()) return malformed("not a port");
  parsed.header = {true, false, SocketAddress::from_ip(*source, *source_port),
                   SocketAddress::from_ip(*destination, *destination_port)};
  return parsed;
}

ProxyParsed parse_version1(std::string_view bytes) {
  const size_t end = bytes.substr(0, kLongestLine).find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() >= kLongestLine) return malformed("a line without end");
    return {ProxyParse::More, 0, {}, {}};
  }
  if (bytes[end - 1] != '\r') return malformed("a line that ends without CR");
  const std::string_view line = bytes.substr(kVersion1.size(), end - 1 - kVersion1.size());
  const bool plain =
      std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c < 127; });
  return plain ? parse_line(line, end + 1) : malformed("control bytes in its line");
}

// ---- version 2: signature, command, family, length, addresses, TLVs ----

struct Addresses {
  SocketAddress source, destination;
};

Addresses read_v4(std::string_view bytes) {
  const auto ip = [&](size_t at) {
    return IpAddress::v4(static_cast<uint32_t>(word_at(bytes, at)) << 16 | word_at(bytes, at + 2));
  };
  return {SocketAddress::from_ip(ip(0), word_at(bytes, 8)),
          SocketAddress::from_ip(ip(4), word_at(bytes, 10))};
}

Addresses read_v6(std::string_view bytes) {
  const auto ip = [&](size_t at) {
    std::array<uint8_t, 16> raw;
    std::memcpy(raw.data(), bytes.data() + at, raw.size());
    return IpAddress::v6(raw);
  };
  return {SocketAddress::from_ip(ip(0), word_at(bytes, 32)),
          SocketAddress::from_ip(ip(16), word_at(bytes, 34))};
}

size_t address_size(uint8_t family) {
  constexpr size_t kUnixPath = 108;
  switch (family) {
    case kInet:
      return 12;
    case kInet6:
      return 36;
    case kUnix:
      return 2 * kUnixPath;
    default:
      return 0;
  }
}

/// The sum of the whole header, its own four bytes taken as zero.
bool checksum_holds(std::string_view whole, size_t at) {
  constexpr std::string_view kZeros("\0\0\0\0", 4);
  uint32_t sum = crc32c(whole.substr(0, at));
  sum = crc32c(kZeros, sum);
  sum = crc32c(whole.substr(at + kZeros.size()), sum);
  const uint32_t given = static_cast<uint32_t>(word_at(whole, at)) << 16 | word_at(whole, at + 2);
  return sum == given;
}

/// What is wrong with the TLVs from `at` on; empty: nothing.
std::string_view fault_of_tlvs(std::string_view whole, size_t at) {
  constexpr size_t kHead = 3;
  while (at < whole.size()) {
    if (whole.size() - at < kHead) return "a TLV that is cut short";
    const size_t size = word_at(whole, at + 1);
    const size_t value = at + kHead;
    if (whole.size() - value < size) return "a TLV that is longer than the header";
    if (byte_at(whole, at) == kChecksum) {
      if (size != 4) return "a checksum of another size than four";
      if (!checksum_holds(whole, value)) return "a wrong checksum";
    }
    at = value + size;
  }
  return {};
}

ProxyParsed parse_version2(std::string_view bytes) {
  if (bytes.size() > 12 && byte_at(bytes, 12) >> 4 != 2) return malformed("unknown version");
  if (bytes.size() > 12 && (byte_at(bytes, 12) & 0xf) > 1) return malformed("unknown command");
  if (bytes.size() < kFixedPart) return {ProxyParse::More, 0, {}, {}};
  const size_t size = kFixedPart + word_at(bytes, 14);
  if (size > kMaxProxyHeader) return malformed("a header that is too long");
  if (bytes.size() < size) return {ProxyParse::More, 0, {}, {}};
  const std::string_view whole = bytes.substr(0, size);
  ProxyParsed parsed{ProxyParse::Done, size, {}, {}};
  const bool local = (byte_at(bytes, 12) & 0xf) == 0;
  const uint8_t family = byte_at(bytes, 13) >> 4;
  const uint8_t protocol = byte_at(bytes, 13) & 0xf;
  // LOCAL, and what is not known: the addresses, whatever they are, are to be passed over.
  parsed.header.local = local;
  if (local || family == kUnspecified) return parsed;
  if (family > kUnix || protocol != kStream) return malformed("not a family that streams");
  const size_t addresses = address_size(family);
  if (size < kFixedPart + addresses) return malformed("addresses that are cut short");
  if (const auto fault = fault_of_tlvs(whole, kFixedPart + addresses); !fault.empty()) {
    return malformed(fault);
  }
  if (family == kUnix) return parsed;
  const std::string_view raw = whole.substr(kFixedPart);
  const Addresses read = family == kInet ? read_v4(raw) : read_v6(raw);
  parsed.header = {true, false, read.source, read.destination};
  return parsed;
}

// ---- writing ----

void put_word(std::string& to, uint16_t value) {
  to.push_back(static_cast<char>(value >> 8));
  to.push_back(static_cast<char>(value));
}

void put_ip(std::string& to, const IpAddress& ip, bool v4) {
  const auto* raw = reinterpret_cast<const char*>(ip.bytes().data());
  to.append(v4 ? raw + 12 : raw, v4 ? 4 : 16);
}

/// An IPv4 address among IPv6 ones has to be written in its mapped form.
std::string text_of(const IpAddress& ip, bool v4) {
  return v4 || !ip.is_v4() ? ip.to_string() : "::ffff:" + ip.to_string();
}

}  // namespace

ProxyParsed parse_proxy_header(std::string_view bytes) {
  if (can_begin(bytes, kSignature)) {
    if (bytes.size() < kSignature.size()) return {ProxyParse::More, 0, {}, {}};
    return parse_version2(bytes);
  }
  if (can_begin(bytes, kVersion1)) {
    if (bytes.size() < kVersion1.size()) return {ProxyParse::More, 0, {}, {}};
    return parse_version1(bytes);
  }
  return malformed("no PROXY protocol header");
}

std::string write_proxy_header(int version, const SocketAddress& source,
                               const SocketAddress& destination) {
  const auto is_ip = [](const SocketAddress& address) {
    return address.family() == AF_INET || address.family() == AF_INET6;
  };
  const bool known = is_ip(source) && is_ip(destination);
  const IpAddress from = source.ip();
  const IpAddress to = destination.ip();
  const bool v4 = from.is_v4() && to.is_v4();
  if (version == 1) {
    if (!known) return "PROXY UNKNOWN\r\n";
    return std::string(kVersion1) + (v4 ? "TCP4 " : "TCP6 ") + text_of(from, v4) + " " +
           text_of(to, v4) + " " + std::to_string(source.port()) + " " +
           std::to_string(destination.port()) + "\r\n";
  }
  const uint8_t family = !known ? kUnspecified : v4 ? kInet : kInet6;
  std::string header;
  header.reserve(kFixedPart + address_size(kInet6));
  header.append(kSignature);
  header.push_back(0x21);  // version 2, PROXY
  header.push_back(static_cast<char>(known ? family << 4 | kStream : 0));
  put_word(header, static_cast<uint16_t>(known ? address_size(family) : 0));
  if (!known) return header;
  put_ip(header, from, v4);
  put_ip(header, to, v4);
  put_word(header, source.port());
  put_word(header, destination.port());
  return header;
}

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected
  uint32_t sum = ~seed;
  for (const char c : bytes) {
    sum ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? kPolynomial : 0);
  }
  return ~sum;
}

}  // namespace tidegate::net
