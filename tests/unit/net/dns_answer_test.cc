// SPDX-License-Identifier: Apache-2.0
#include "net/dns_answer.h"

#include <doctest/doctest.h>

namespace tidegate::net {
namespace {

using namespace std::string_literals;

std::string word(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

std::string number(uint32_t value) {
  return word(value >> 16) + word(value & 0xffff);
}

const std::string kName = "\x05users\x04test\0"s;  // at 12 in a message
const std::string kSame = "\xc0\x0c";              // a pointer to it

std::string message(unsigned answers, const std::string& records, const std::string& name = kName) {
  return "\x12\x34\x81\x80"s + word(1) + word(answers) + number(0) + name + word(1) + word(1) +
         records;
}

std::string record(const std::string& name, unsigned type, uint32_t ttl, const std::string& data) {
  return name + word(type) + word(1) + number(ttl) + word(static_cast<unsigned>(data.size())) +
         data;
}

std::string a_record(const std::string& address, uint32_t ttl = 60) {
  return record(kSame, 1, ttl, address);
}

TEST_CASE("addresses and the least time to live are read") {
  const auto answer = parse_dns_answer(
      message(2, a_record("\x7f\0\0\x01"s, 60) + a_record("\x0a\0\0\x02"s, 30)), DnsRecordType::A);
  REQUIRE(answer);
  REQUIRE(answer->addresses.size() == 2);
  CHECK(answer->addresses[0].to_string() == "127.0.0.1");
  CHECK(answer->addresses[1].to_string() == "10.0.0.2");
  CHECK(answer->ttl == 30);
}

TEST_CASE("IPv6 addresses are read") {
  const auto answer = parse_dns_answer(
      message(1, record(kSame, 28, 5, std::string(15, '\0') + "\x01")), DnsRecordType::Aaaa);
  REQUIRE(answer);
  REQUIRE(answer->addresses.size() == 1);
  CHECK(answer->addresses[0].to_string() == "::1");
}

TEST_CASE("aliases are passed over, but their time to live counts") {
  const auto answer = parse_dns_answer(
      message(2, record(kSame, 5, 7, "\x04real\xc0\x12"s) + a_record("\x7f\0\0\x01"s)),
      DnsRecordType::A);
  REQUIRE(answer);
  CHECK(answer->addresses.size() == 1);
  CHECK(answer->ttl == 7);
}

TEST_CASE("services are read, their targets compressed or not") {
  const std::string data = word(1) + word(10) + word(8080);
  const auto answer = parse_dns_answer(message(3, record(kSame, 33, 5,
                                                         data + "\x01"
                                                                "a\xc0\x12"s) +
                                                      record(kSame, 33, 5,
                                                             data + "\x01"
                                                                    "b\0"s) +
                                                      record(kSame, 33, 5, data + "\0"s)),
                                       DnsRecordType::Srv);
  REQUIRE(answer);
  REQUIRE(answer->services.size() == 3);
  CHECK(answer->services[0].target == "a.test");
  CHECK(answer->services[0].priority == 1);
  CHECK(answer->services[0].weight == 10);
  CHECK(answer->services[0].port == 8080);
  CHECK(answer->services[1].target == "b");
  CHECK(answer->services[2].target.empty());
}

TEST_CASE("an answer without records is sound and empty") {
  const auto answer = parse_dns_answer(message(0, ""), DnsRecordType::A);
  REQUIRE(answer);
  CHECK(answer->addresses.empty());
  CHECK(answer->ttl == 0);
}

TEST_CASE("records of another class or size are not taken for addresses") {
  const std::string chaos = kSame + word(1) + word(3) + number(9) + word(4) + "\x7f\0\0\x01"s;
  auto answer = parse_dns_answer(message(1, chaos), DnsRecordType::A);
  REQUIRE(answer);
  CHECK(answer->addresses.empty());
  CHECK_FALSE(parse_dns_answer(message(1, a_record("abc")), DnsRecordType::A));
}

TEST_CASE("a time to live with its top bit set is zero") {
  const auto answer =
      parse_dns_answer(message(1, a_record("\x7f\0\0\x01"s, 0x80000001)), DnsRecordType::A);
  REQUIRE(answer);
  CHECK(answer->ttl == 0);
}

TEST_CASE("a message cut anywhere is malformed") {
  const std::string whole = message(2, a_record("\x7f\0\0\x01"s) + a_record("\x7f\0\0\x02"s));
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse_dns_answer(std::string_view(whole).substr(0, size), DnsRecordType::A));
  }
}

TEST_CASE("names that point at themselves, ahead or in a circle are malformed") {
  CHECK_FALSE(parse_dns_answer(message(0, "", "\xc0\x0c"), DnsRecordType::A));
  CHECK_FALSE(parse_dns_answer(message(0, "", "\xc0\x20"), DnsRecordType::A));
  CHECK_FALSE(parse_dns_answer(message(0, "",
                                       "\x01"
                                       "a\xc0\x0c"),
                               DnsRecordType::A));
  CHECK_FALSE(parse_dns_answer(message(0, "", "\x80"), DnsRecordType::A));
}

TEST_CASE("a name longer than any can be is malformed") {
  std::string name;
  for (int i = 0; i < 5; ++i) name += "\x3f" + std::string(63, 'x');
  CHECK_FALSE(parse_dns_answer(message(0, "", name + "\0"s), DnsRecordType::A));
}

}  // namespace
}  // namespace tidegate::net
