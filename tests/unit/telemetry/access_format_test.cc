// SPDX-License-Identifier: Apache-2.0
#include "telemetry/access_format.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using namespace tidegate;
using namespace tidegate::telemetry;
using namespace std::chrono_literals;
using nlohmann::ordered_json;

namespace {

std::string format(const AccessRecord& record, log::Format form = log::Format::Json) {
  LineBuffer line;
  TimestampText timestamps;
  format_access(record, form, timestamps, line);
  return std::string(line.view());
}

AccessRecord full_record() {
  static const AccessPolicy policies[] = {{"headers", 3}, {"auth", 12}};
  AccessRecord record;
  record.unix_ms = 1'709'210'096'789;
  record.request_id = "0123456789abcdef";
  record.client_ip = "192.0.2.7";
  record.listener = "public";
  record.protocol = "HTTP/1.1";
  record.method = "GET";
  record.host = "api.example.com";
  record.path = "/api/users";
  record.query = "page=2";
  record.user_agent = "curl/8";
  record.route = "users";
  record.policies = policies;
  record.cluster = "users";
  record.endpoint = "10.0.0.1:8080";
  record.attempts = 2;
  record.status = 504;
  record.error = ErrorCode::ResponseTimeout;
  record.duration = 1234567us;
  record.upstream = 900us;
  record.bytes_in = 10;
  record.bytes_out = 20'000'000'000;
  return record;
}

}  // namespace

TEST_CASE("an access line is one JSON object with timestamp, level and message first") {
  const std::string line = format(full_record());
  REQUIRE(line.back() == '\n');
  CHECK(line.find('\n') == line.size() - 1);
  const auto json = ordered_json::parse(line);
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  CHECK(std::vector(keys.begin(), keys.begin() + 3) ==
        std::vector<std::string>{"timestamp", "level", "message"});
  CHECK(json == ordered_json::parse(R"({
    "timestamp": "2024-02-29T12:34:56.789Z", "level": "error", "message": "request",
    "request_id": "0123456789abcdef", "client_ip": "192.0.2.7", "listener": "public",
    "protocol": "HTTP/1.1", "method": "GET", "host": "api.example.com", "path": "/api/users",
    "query": "page=2", "user_agent": "curl/8", "route": "users",
    "policies": [{"name": "headers", "generation": 3}, {"name": "auth", "generation": 12}],
    "cluster": "users", "endpoint": "10.0.0.1:8080", "attempts": 2, "status": 504,
    "error": "response_timeout", "side": "origin", "duration_ms": 1234.567, "upstream_ms": 0.9,
    "bytes_in": 10, "bytes_out": 20000000000})"));
}

TEST_CASE("what an exchange did not have is left out") {
  AccessRecord record;
  record.status = 200;
  const auto json = ordered_json::parse(format(record));
  for (const char* key : {"route", "policies", "cluster", "endpoint", "error", "side",
                          "upstream_ms", "trace_id", "query"}) {
    CHECK_MESSAGE(!json.contains(key), key);
  }
  CHECK(json.at("duration_ms") == 0);
  CHECK(json.at("level") == "info");
}

TEST_CASE("hostile bytes cannot break the line or its JSON") {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::string hostile = std::string("a") + static_cast<char>(byte) + "b";
    AccessRecord record = full_record();
    record.path = record.host = record.method = record.user_agent = hostile;
    for (const auto form : {log::Format::Json, log::Format::Text}) {
      const std::string line = format(record, form);
      CAPTURE(byte);
      CHECK(line.find('\n') == line.size() - 1);
      CHECK(line.find('\0') == std::string::npos);
    }
    const auto json = ordered_json::parse(format(record));
    const std::string expected = byte < 0x80 ? hostile
                                             : "a\xef\xbf\xbd"
                                               "b";
    CHECK(json.at("path") == expected);
    CHECK(json.at("user_agent") == expected);
  }
}

TEST_CASE("UTF-8 is kept, and what only looks like it is replaced") {
  const std::pair<std::string, std::string> cases[] = {
      {"grüße €😀", "grüße €😀"},     {"\xc0\xaf", "��"},  // overlong
      {"\xe0\x80\xaf", "���"},                           // overlong
      {"\xed\xa0\x80", "���"},                           // surrogate
      {"\xf4\x90\x80\x80", "����"},                      // beyond U+10FFFF
      {"\xe2\x82", "��"},                                // cut short
      {"\xf0\x9f\x98", "���"},                           // cut short
      {"\xe2\x28\xa1", "�(�"},      {"\x80", "�"},
  };
  for (const auto& [raw, expected] : cases) {
    AccessRecord record;
    record.path = raw;
    CHECK(ordered_json::parse(format(record)).at("path") == expected);
  }
}

TEST_CASE("texts that a client chooses are cut") {
  const std::string longer(100'000, 'x');
  AccessRecord record = full_record();
  record.user_agent = record.path = record.query = record.host = longer;
  const auto json = ordered_json::parse(format(record));
  CHECK(json.at("user_agent").get<std::string>().size() == kMaxAccessText);
  CHECK(json.at("path").get<std::string>().size() == kMaxAccessPath);
}

TEST_CASE("the text format is one line of words") {
  CHECK(format(full_record(), log::Format::Text) ==
        "2024-02-29T12:34:56.789Z error 192.0.2.7 \"GET /api/users?page=2\" 504 1234.567ms 10 "
        "20000000000 host=api.example.com route=users cluster=users endpoint=10.0.0.1:8080 "
        "error=response_timeout request_id=0123456789abcdef\n");
}
