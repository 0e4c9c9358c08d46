// SPDX-License-Identifier: Apache-2.0
#include "http/path.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "unit/http/fixture.h"

namespace tidegate::http {
namespace {

struct Case {
  std::string_view raw;
  std::string_view canonical;
};

}  // namespace

TEST_CASE_FIXTURE(ArenaFixture, "a canonical path comes back as the same view") {
  for (std::string_view raw :
       {"/", "*", "/a", "/a/", "/a/b.c", "/..a", "/.a", "/a..", "/...", "/a/.b/..c", "/%20", "/%25",
        "/a%3Fb", "/a;b=c,d", "/!$&'()*+,;=:@-._~", "/[a]", "/%E2%82%AC", "/%2525"}) {
    CAPTURE(raw);
    const auto path = normalise_path(raw, arena);
    REQUIRE(path.has_value());
    CHECK(path->text.data() == raw.data());
    CHECK(path->text.size() == raw.size());
    CHECK_FALSE(path->has_encoded_slash);
  }
}

TEST_CASE_FIXTURE(ArenaFixture, "a path is brought into its one form") {
  const Case cases[] = {
      {"//", "/"},
      {"/a//b", "/a/b"},
      {"///a///", "/a/"},
      {"/.", "/"},
      {"/./", "/"},
      {"/a/.", "/a/"},
      {"/a/./b", "/a/b"},
      {"/a/..", "/"},
      {"/a/../", "/"},
      {"/a/b/..", "/a/"},
      {"/a/b/../", "/a/"},
      {"/a/b/../../c", "/c"},
      {"/a/b/.././../c", "/c"},
      {"/a//../b", "/b"},
      {"/%2e", "/"},
      {"/a/%2E%2e/b", "/b"},
      {"/a/.%2e/b", "/b"},
      {"/a/%2e./b", "/b"},
      {"/%2e%2ea", "/..a"},
      {"/%41%7a%30%2D%5f%7E", "/Az0-_~"},
      {"/%c3%a4", "/%C3%A4"},
      {"/%3a%3F", "/%3A%3F"},
      {"/%252e%252E/a", "/%252e%252E/a"},
      {"/%2541", "/%2541"},
      {"/%25%34%31", "/%2541"},
      {"/a%20b/../%7ec", "/~c"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.raw);
    const auto path = normalise_path(c.raw, arena);
    REQUIRE(path.has_value());
    CHECK(path->text == c.canonical);
  }
}

TEST_CASE_FIXTURE(ArenaFixture, "a path that makes no sense is refused") {
  using namespace std::string_view_literals;
  for (std::string_view raw :
       {""sv,          "a"sv,          "a/b"sv,      "**"sv,    "/%"sv,   "/%4"sv,
        "/%4g"sv,      "/%g4"sv,       "/%%36%36"sv, "/a%"sv,   "/%00"sv, "/a%00b"sv,
        "/a\0b"sv,     "/a b"sv,       "/a\tb"sv,    "/a\r"sv,  "/a\n"sv, "/\x7f"sv,
        "/\xc3\xa4"sv, "/a\\b"sv,      "/a#b"sv,     "/a?b"sv,  "/.."sv,  "/../a"sv,
        "/a/../.."sv,  "/a/../../b"sv, "/%2e%2e"sv,  "/./.."sv, "//.."sv, "/%u0041"sv}) {
    CAPTURE(raw);
    const auto path = normalise_path(raw, arena);
    REQUIRE_FALSE(path.has_value());
    CHECK(path.error() == ErrorCode::BadRequest);
  }
}

TEST_CASE_FIXTURE(ArenaFixture, "encoded slashes are kept and told of") {
  const Case cases[] = {{"/a%2Fb", "/a%2Fb"},      {"/a%2fb", "/a%2Fb"},     {"/a%5c", "/a%5C"},
                        {"/%2F/x/../y", "/%2F/y"}, {"/a%2F...", "/a%2F..."}, {"/a%2Fb/../c", "/c"}};
  for (const Case& c : cases) {
    CAPTURE(c.raw);
    const auto path = normalise_path(c.raw, arena);
    REQUIRE(path.has_value());
    CHECK(path->text == c.canonical);
    CHECK(path->has_encoded_slash);
  }
}

TEST_CASE_FIXTURE(ArenaFixture,
                  "dots that an encoded slash would turn into a segment are refused") {
  for (std::string_view raw : {"/a/..%2Fb", "/a%2F..", "/a%2f%2e%2e%2fb", "/a%5C..%5Cb", "/a%2F./b",
                               "/..%5cb", "/%2F..", "/.%2Fa", "/x%2F%2e"}) {
    CAPTURE(raw);
    CHECK_FALSE(normalise_path(raw, arena).has_value());
  }
}

TEST_CASE_FIXTURE(ArenaFixture, "H17: what no URI holds is escaped in a path") {
  const Case cases[] = {{"/a|b", "/a%7Cb"},
                        {"/\"<>^`{|}", "/%22%3C%3E%5E%60%7B%7C%7D"},
                        {"/a{b}/../c^", "/c%5E"},
                        {"/%7b{", "/%7B%7B"},
                        {"/{{{{{{{{/..", "/"}};
  for (const Case& c : cases) {
    CAPTURE(c.raw);
    const auto path = normalise_path(c.raw, arena);
    REQUIRE(path.has_value());
    CHECK(path->text == c.canonical);
    CHECK(normalise_path(path->text, arena)->text.data() == path->text.data());
  }
}

TEST_CASE_FIXTURE(ArenaFixture, "H17: what no URI holds is escaped in a query, and nothing else") {
  const Case cases[] = {{"a={\"b\":1}", "a=%7B%22b%22:1%7D"},
                        {"q=a\\b|c", "q=a%5Cb%7Cc"},
                        {"<`^>", "%3C%60%5E%3E"},
                        {"%7b%zz//../{", "%7b%zz//../%7B"}};
  for (const Case& c : cases) {
    CAPTURE(c.raw);
    CHECK(normalise_query(c.raw, arena) == c.canonical);
  }
  for (const std::string_view raw : {"", "a=1&b=2", "a=%2e%2e/&b=//", "?", "a[]=1"}) {
    CHECK(normalise_query(raw, arena).data() == raw.data());
  }
}

TEST_CASE_FIXTURE(ArenaFixture, "H21: slashes may be kept") {
  const Case cases[] = {{"//", "//"},         {"/a//b", "/a//b"},     {"///a///", "///a///"},
                        {"/a//../b", "/a/b"}, {"/a//./b", "/a//b"},   {"/a/..//b", "//b"},
                        {"//..", "/"},        {"/a/.//b", "/a//b"},   {"/%61//b", "/a//b"},
                        {"//../a", "/a"},     {"/a/b/..//c", "/a//c"}};
  for (const Case& c : cases) {
    CAPTURE(c.raw);
    const auto path = normalise_path(c.raw, arena, Slashes::Keep);
    REQUIRE(path.has_value());
    CHECK(path->text == c.canonical);
    const auto twice = normalise_path(path->text, arena, Slashes::Keep);
    CHECK(twice->text.data() == path->text.data());
  }
  for (const std::string_view raw : {"/..", "//../..", "/a/../.."}) {
    CHECK_FALSE(normalise_path(raw, arena, Slashes::Keep).has_value());
  }
}

TEST_CASE("normalising twice changes nothing more, whatever the path") {
  std::mt19937 random(20);
  constexpr std::string_view kPieces[] = {"/",   "/",   ".",   "..",  "a",   "%2e", "%2E",
                                          "%2f", "%5C", "%25", "%41", "%61", "%c3", "%3F",
                                          "%7e", ";",   "//",  "b",   "2",   "{"};
  size_t accepted = 0;
  size_t rewritten = 0;
  for (int round = 0; round < 50000; ++round) {
    ArenaBlocks blocks;
    Arena arena(blocks);
    std::string raw = "/";
    for (auto n = random() % 12; n > 0; --n) raw += kPieces[random() % std::size(kPieces)];
    const auto once = normalise_path(raw, arena);
    if (!once) continue;
    ++accepted;
    if (once->text != raw) ++rewritten;
    CAPTURE(raw);
    const auto twice = normalise_path(once->text, arena);
    REQUIRE(twice.has_value());
    CHECK(twice->text.data() == once->text.data());
    CHECK(twice->text == once->text);
    CHECK(once->text.find("//") == std::string_view::npos);
    CHECK((std::string(once->text) + "/").find("/./") == std::string::npos);
    CHECK((std::string(once->text) + "/").find("/../") == std::string::npos);
  }
  CHECK(accepted > 10000);
  CHECK(rewritten > 10000);
}

}  // namespace tidegate::http
