// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tidegate {
namespace {

IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  REQUIRE_MESSAGE(address.has_value(), text);
  return *address;
}

Cidr cidr(std::string_view text) {
  const auto block = Cidr::parse(text);
  REQUIRE_MESSAGE(block.has_value(), text);
  return *block;
}

}  // namespace

TEST_CASE("addresses are written as they are commonly read") {
  struct Case {
    std::string_view text;
    std::string_view written;
  };
  const Case cases[] = {
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"10.20.100.9", "10.20.100.9"},
      {"::", "::"},
      {"::1", "::1"},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
      {"fe80::1", "fe80::1"},
      {"::ffff:1.2.3.4", "1.2.3.4"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(ip(c.text).to_string() == c.written);
    CHECK(ip(ip(c.text).to_string()) == ip(c.text));
  }
}

TEST_CASE("every octet is written right") {
  for (unsigned octet = 0; octet < 256; ++octet) {
    const std::string text = "1.2.3." + std::to_string(octet);
    CHECK(IpAddress::v4(0x01020300u | octet).to_string() == text);
    CHECK(ip(text) == IpAddress::v4(0x01020300u | octet));
  }
}

TEST_CASE("what is not exactly an address is refused") {
  using namespace std::string_view_literals;
  for (std::string_view text : {""sv,
                                "1"sv,
                                "1.2.3"sv,
                                "1.2.3."sv,
                                "1.2.3.4."sv,
                                "1.2.3.4.5"sv,
                                "1.2.3.256"sv,
                                "1.2.3.04"sv,
                                "1.2.3.0x1"sv,
                                " 1.2.3.4"sv,
                                "1.2.3.4 "sv,
                                "1.2.3.-1"sv,
                                "1.2.3.+1"sv,
                                "1..2.3"sv,
                                "1.2.3.99999999999"sv,
                                "localhost"sv,
                                ":"sv,
                                ":::"sv,
                                "1::2::3"sv,
                                "::g"sv,
                                "12345::"sv,
                                "[::1]"sv,
                                "fe80::1%eth0"sv,
                                "::1\0"sv,
                                "1:2:3:4:5:6:7"sv,
                                "1:2:3:4:5:6:7:8:9"sv,
                                "::ffff:1.2.3.256"sv,
                                "1.2.3.4\0"sv}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text).has_value());
  }
}

TEST_CASE("an IPv4 address equals its mapped form") {
  CHECK(ip("::ffff:10.0.0.1") == ip("10.0.0.1"));
  CHECK(ip("::ffff:10.0.0.1").is_v4());
  CHECK_FALSE(ip("::10.0.0.1").is_v4());
  CHECK(ip("1.2.3.4") != ip("1.2.3.5"));
}

TEST_CASE("loopback and private addresses are known") {
  for (std::string_view text : {"127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"}) {
    CAPTURE(text);
    CHECK(ip(text).is_loopback());
    CHECK(ip(text).is_private());
  }
  for (std::string_view text : {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
                                "169.254.0.1", "fc00::1", "fdff::1", "fe80::1", "febf::1"}) {
    CAPTURE(text);
    CHECK(ip(text).is_private());
    CHECK_FALSE(ip(text).is_loopback());
  }
  for (std::string_view text : {"128.0.0.1", "9.9.9.9", "11.0.0.1", "172.15.0.1", "172.32.0.1",
                                "192.169.0.1", "::2", "fe00::1", "fec0::1", "2001:db8::1"}) {
    CAPTURE(text);
    CHECK_FALSE(ip(text).is_private());
  }
}

TEST_CASE("a block contains the addresses that share its prefix") {
  struct Case {
    std::string_view block;
    std::string_view inside;
    std::string_view outside;
  };
  const Case cases[] = {
      {"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
      {"10.9.8.7/8", "10.0.0.0", "9.255.255.255"},
      {"192.168.4.0/23", "192.168.5.255", "192.168.6.0"},
      {"1.2.3.4", "1.2.3.4", "1.2.3.5"},
      {"1.2.3.4/32", "::ffff:1.2.3.4", "1.2.3.5"},
      {"0.0.0.0/0", "255.1.2.3", "::1"},
      {"::1", "::1", "::2"},
      {"fd00::/8", "fdff::1", "fe00::1"},
      {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
      {"::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"},
      {"fe80::/10", "febf::1", "fec0::1"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.block);
    CHECK(cidr(c.block).contains(ip(c.inside)));
    CHECK_FALSE(cidr(c.block).contains(ip(c.outside)));
  }
  CHECK(cidr("::/0").contains(ip("1.2.3.4")));
  CHECK(cidr("::/0").contains(ip("::1")));
}

TEST_CASE("a block is written in its shortest form, without host bits") {
  CHECK(cidr("10.9.8.7/8").to_string() == "10.0.0.0/8");
  CHECK(cidr("1.2.3.4").to_string() == "1.2.3.4/32");
  CHECK(cidr("0.0.0.0/0").to_string() == "0.0.0.0/0");
  CHECK(cidr("::1").to_string() == "::1/128");
  CHECK(cidr("fd00:1::/8").to_string() == "fd00::/8");
  CHECK(cidr("::/0").to_string() == "::/0");
}

TEST_CASE("what is not a block is refused") {
  for (std::string_view text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ",
                                "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0/8", "::/129", "::1/x"}) {
    CAPTURE(text);
    CHECK_FALSE(Cidr::parse(text).has_value());
  }
}

TEST_CASE("an address is in a list if one block contains it") {
  const std::vector<Cidr> blocks{cidr("10.0.0.0/8"), cidr("::1")};
  CHECK(contains(blocks, ip("10.1.1.1")));
  CHECK(contains(blocks, ip("::1")));
  CHECK_FALSE(contains(blocks, ip("127.0.0.1")));
  CHECK_FALSE(contains({}, ip("10.1.1.1")));
}

}  // namespace tidegate
