// SPDX-License-Identifier: Apache-2.0
#include "net/proxy_protocol.h"

#include <doctest/doctest.h>

#include <string>

namespace tidegate::net {
namespace {

using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string word(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

/// A version 2 header: command, family and protocol, and what follows the length.
std::string version2(char command, char family, const std::string& rest) {
  return kSignature + command + family + word(rest.size()) + rest;
}

const std::string kV4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"s;

SocketAddress at(const char* ip, uint16_t port) {
  return SocketAddress::from_ip(*IpAddress::parse(ip), port);
}

std::string said(const ProxyHeader& header) {
  if (!header.has_addresses) return "nothing";
  return header.source.to_string() + " " + header.destination.to_string();
}

/// What a header says, whole and when it comes byte by byte, with a request behind it.
std::string read(const std::string& header) {
  for (size_t size = 0; size < header.size(); ++size) {
    CAPTURE(size);
    REQUIRE(parse_proxy_header(std::string_view(header).substr(0, size)).state == ProxyParse::More);
  }
  const ProxyParsed parsed = parse_proxy_header(header + "GET / HTTP/1.1\r\n");
  REQUIRE(parsed.state == ProxyParse::Done);
  CHECK(parsed.size == header.size());
  return said(parsed.header);
}

std::string fault(const std::string& bytes) {
  const ProxyParsed parsed = parse_proxy_header(bytes);
  REQUIRE(parsed.state == ProxyParse::Malformed);
  CHECK_FALSE(parsed.fault.empty());
  return std::string(parsed.fault);
}

TEST_CASE("a version 1 header names the client and whom it asked, split wherever it may be") {
  CHECK(read("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n") ==
        "192.0.2.1:56324 198.51.100.2:443");
  CHECK(read("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n") == "[2001:db8::1]:1 [::1]:65535");
}

TEST_CASE("a version 1 header of an unknown protocol names nobody") {
  CHECK(read("PROXY UNKNOWN\r\n") == "nothing");
  CHECK(read("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n") == "nothing");
}

TEST_CASE("the longest version 1 header is taken, one byte more is not") {
  const std::string longest = "PROXY UNKNOWN " + std::string(107 - 16, 'x') + "\r\n";
  REQUIRE(longest.size() == 107);
  CHECK(read(longest) == "nothing");
  CHECK(fault("PROXY UNKNOWN " + std::string(108 - 16, 'x') + "\r\n") == "a line without end");
}

TEST_CASE("a version 1 header that is not exactly right is malformed") {
  for (const char* bytes : {
           "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 056 443\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 +5 443\r\n",
           "PROXY TCP4  192.0.2.1 198.51.100.2 56 443\r\n",
           "PROXY TCP4 ::1 ::1 56324 443\r\n",
           "PROXY TCP6 192.0.2.1 192.0.2.2 56324 443\r\n",
           "PROXY TCP4 192.0.2 198.51.100.2 56324 443\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
           "PROXY UDP4 192.0.2.1 198.51.100.2 56324 443\r\n",
           "PROXY UNKNOWN \x01\r\n",
           "PROXY \r\n",
           "PROXY\r\n",
           "GET / HTTP/1.1\r\n",
           "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
       }) {
    CAPTURE(bytes);
    fault(bytes);
  }
}

TEST_CASE("a version 2 header names the client and whom it asked, split wherever it may be") {
  CHECK(read(version2('\x21', '\x11', kV4)) == "192.0.2.1:56324 198.51.100.2:443");
  std::string v6(36, '\0');
  v6[0] = 0x20;
  v6[1] = 0x01;
  v6[15] = 0x07;
  v6[31] = 0x01;
  v6[33] = 0x50;
  v6[35] = 0x51;
  CHECK(read(version2('\x21', '\x21', v6)) == "[2001::7]:80 [::1]:81");
}

TEST_CASE("LOCAL, unknown and unix headers of version 2 name nobody") {
  CHECK(read(version2('\x20', '\x00', "")) == "nothing");
  CHECK(read(version2('\x20', '\x11', kV4)) == "nothing");
  CHECK(read(version2('\x20', '\x11', "odd")) == "nothing");
  CHECK(read(version2('\x21', '\x00', "whatever this is")) == "nothing");
  CHECK(read(version2('\x21', '\x31', std::string(216, 'p'))) == "nothing");
}

TEST_CASE("TLVs are passed over, their lengths checked") {
  const std::string authority = "\x02" + word(4) + "host";
  CHECK(read(version2('\x21', '\x11', kV4 + authority + "\x04" + word(0))) ==
        "192.0.2.1:56324 198.51.100.2:443");
  CHECK(fault(version2('\x21', '\x11', kV4 + authority + "\x04")) == "a TLV that is cut short");
  CHECK(fault(version2('\x21', '\x11', kV4 + "\x02" + word(5) + "host")) ==
        "a TLV that is longer than the header");
}

TEST_CASE("a checksum that is there must be right") {
  CHECK(crc32c("123456789") == 0xe3069283);
  std::string header = version2('\x21', '\x11', kV4 + "\x03" + word(4) + std::string(4, '\0'));
  const uint32_t sum = crc32c(header);
  for (int i = 0; i < 4; ++i)
    header[header.size() - 4 + i] = static_cast<char>(sum >> (24 - 8 * i));
  CHECK(read(header) == "192.0.2.1:56324 198.51.100.2:443");
  header[20] ^= 1;
  CHECK(fault(header) == "a wrong checksum");
  CHECK(fault(version2('\x21', '\x11', kV4 + "\x03" + word(3) + "abc")) ==
        "a checksum of another size than four");
}

TEST_CASE("a version 2 header that is not exactly right is malformed") {
  CHECK(fault(version2('\x11', '\x11', kV4)) == "unknown version");
  CHECK(fault(version2('\x22', '\x11', kV4)) == "unknown command");
  CHECK(fault(version2('\x21', '\x12', kV4)) == "not a family that streams");
  CHECK(fault(version2('\x21', '\x41', kV4)) == "not a family that streams");
  CHECK(fault(version2('\x21', '\x11', kV4.substr(1))) == "addresses that are cut short");
  CHECK(fault(version2('\x21', '\x21', kV4)) == "addresses that are cut short");
  CHECK(fault(kSignature + "\x21\x11"s + word(kMaxProxyHeader)) == "a header that is too long");
  CHECK(fault("\r\n\r\nGET / HTTP/1.1") == "no PROXY protocol header");
}

TEST_CASE("what is written is read back") {
  for (const int version : {1, 2}) {
    CAPTURE(version);
    const auto round = [&](const SocketAddress& source, const SocketAddress& destination) {
      return read(write_proxy_header(version, source, destination));
    };
    CHECK(round(at("192.0.2.1", 1), at("10.0.0.1", 65535)) == "192.0.2.1:1 10.0.0.1:65535");
    CHECK(round(at("2001:db8::1", 80), at("::1", 443)) == "[2001:db8::1]:80 [::1]:443");
    CHECK(round(at("192.0.2.1", 80), at("2001:db8::1", 443)) == "192.0.2.1:80 [2001:db8::1]:443");
    CHECK(round(*SocketAddress::from_unix_path("/run/x"), at("::1", 443)) == "nothing");
    CHECK(round(SocketAddress(), at("::1", 443)) == "nothing");
  }
}

}  // namespace
}  // namespace tidegate::net
