// SPDX-License-Identifier: Apache-2.0
#include "base/strings.h"

#include <doctest/doctest.h>

#include <vector>

namespace tidegate {

TEST_CASE("only ASCII letters have a case") {
  CHECK(ascii_lower("AZaz09@[`{\xc4") == "azaz09@[`{\xc4");
  CHECK(iequals("Keep-Alive", "kEEP-aLIVE"));
  CHECK_FALSE(iequals("keep-alive", "keep-alivf"));
  CHECK_FALSE(iequals("keep", "keep-alive"));
  CHECK_FALSE(iequals("[", "{"));
  CHECK(iequals("", ""));
}

TEST_CASE("tokens are what RFC 9110 says") {
  CHECK(is_token("x-One_1!#$%&'*+.^`|~"));
  for (std::string_view text :
       {"", "a b", "a:", "(a)", "a,b", "a/b", "\"a\"", "a\x7f", "\xc3\xa4", "a@", "{", "[a]"}) {
    CAPTURE(text);
    CHECK_FALSE(is_token(text));
  }
}

TEST_CASE("trim takes spaces and tabs from both ends only") {
  CHECK(trim(" \t a b\t ") == "a b");
  CHECK(trim("a") == "a");
  CHECK(trim("\r\n") == "\r\n");
  CHECK(trim(" \t ").empty());
  CHECK(trim("").empty());
}

TEST_CASE("decimal numbers are digits within their bound") {
  CHECK(parse_decimal("0") == 0u);
  CHECK(parse_decimal("007") == 7u);
  CHECK(parse_decimal("18446744073709551615") == UINT64_MAX);
  CHECK(parse_decimal("65535", 65535) == 65535u);
  CHECK(parse_decimal("5", 5) == 5u);
  for (std::string_view text : {"", "-1", "+1", " 1", "1 ", "1x", "0x1", "18446744073709551616",
                                "18446744073709551625", "99999999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_decimal(text).has_value());
  }
  CHECK_FALSE(parse_decimal("65536", 65535).has_value());
  CHECK_FALSE(parse_decimal("655350", 65535).has_value());
  CHECK_FALSE(parse_decimal("6", 5).has_value());
  CHECK_FALSE(parse_decimal("1", 0).has_value());
}

TEST_CASE("hexadecimal numbers are digits that fit") {
  CHECK(parse_hex("0") == 0u);
  CHECK(parse_hex("fF09") == 0xff09u);
  CHECK(parse_hex("ffffffffffffffff") == UINT64_MAX);
  CHECK(parse_hex("00000000000000000001") == 1u);
  for (std::string_view text : {"", "0x1", "g", " 1", "1 ", "-1", "10000000000000000"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_hex(text).has_value());
  }
}

TEST_CASE("a comma list is walked element by element, without the empty ones") {
  const auto elements = [](std::string_view list) {
    std::vector<std::string_view> found;
    CHECK(for_each_element(list, [&](std::string_view element) {
      found.push_back(element);
      return true;
    }));
    return found;
  };
  CHECK(elements("a, b ,\tc") == std::vector<std::string_view>{"a", "b", "c"});
  CHECK(elements(",, a,,") == std::vector<std::string_view>{"a"});
  CHECK(elements("").empty());
  CHECK(elements(" , ").empty());
  int seen = 0;
  CHECK_FALSE(for_each_element("a,b,c", [&](std::string_view) { return ++seen < 2; }));
  CHECK(seen == 2);
}

TEST_CASE("edit distance counts letters to insert, delete or replace") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("timeout", "timeout") == 0);
  CHECK(edit_distance("timeuot", "timeout") == 2);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("listner", "listener") == 1);
}

}  // namespace tidegate
