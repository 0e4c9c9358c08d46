// SPDX-License-Identifier: Apache-2.0
#include "telemetry/log.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

using namespace tidegate;
using nlohmann::ordered_json;

namespace {

class Capture {
 public:
  Capture() {
    log::redirect([this](std::string_view line) { lines.emplace_back(line); });
  }
  ~Capture() {
    log::redirect(nullptr);
    log::set_level(log::Level::Info);
    log::set_format(log::Format::Json);
  }
  std::vector<std::string> lines;
};

}  // namespace

TEST_CASE("a log line is a JSON object with its fields after timestamp, level and message") {
  Capture capture;
  const std::string cluster = "us\"ers";
  log::warn("endpoint is unhealthy", {{"cluster", cluster},
                                      {"failures", 3},
                                      {"ratio", 0.5},
                                      {"again", true},
                                      {"big", UINT64_MAX},
                                      {"small", INT64_MIN},
                                      {"nan", std::nan("")},
                                      {"text", "a\nb"}});
  REQUIRE(capture.lines.size() == 1);
  auto json = ordered_json::parse(capture.lines[0]);
  std::string shape = json.at("timestamp");
  std::replace_if(
      shape.begin(), shape.end(), [](char c) { return c >= '0' && c <= '9'; }, '9');
  CHECK(shape == "9999-99-99T99:99:99.999Z");
  CHECK(json.items().begin().key() == "timestamp");
  json.erase("timestamp");
  CHECK(json.dump() ==
        R"({"level":"warn","message":"endpoint is unhealthy","cluster":"us\"ers","failures":3,)"
        R"("ratio":0.5,"again":true,"big":18446744073709551615,"small":-9223372036854775808,)"
        R"("nan":null,"text":"a\nb"})");
}

TEST_CASE("levels below the set one are silent, and the level changes at run time") {
  Capture capture;
  log::debug("no");
  log::info("yes");
  log::set_level(log::Level::Error);
  log::warn("no");
  log::error("yes");
  log::set_level(log::Level::Debug);
  log::debug("yes");
  CHECK(capture.lines.size() == 3);
  CHECK(log::parse_level("warn") == log::Level::Warn);
  CHECK_FALSE(log::parse_level("WARN").has_value());
}

TEST_CASE("the text format quotes what is not one word") {
  Capture capture;
  log::set_format(log::Format::Text);
  log::info("it is\nhere", {{"name", "two words"}, {"plain", "word"}, {"empty", ""}, {"n", 7}});
  REQUIRE(capture.lines.size() == 1);
  CHECK(capture.lines[0].substr(24) ==
        R"( info it is\nhere name="two words" plain=word empty="" n=7)");
}

TEST_CASE("a limited message comes once, and keys do not hold each other up") {
  Capture capture;
  for (int i = 0; i < 100; ++i) log::log_limited("first", log::Level::Warn, "first");
  for (int i = 0; i < 100; ++i) log::log_limited("second", log::Level::Warn, "second");
  log::log_limited("third", log::Level::Debug, "below the level");
  // A second may begin in between on a slow machine; never a hundred times.
  CHECK(capture.lines.size() >= 2);
  CHECK(capture.lines.size() <= 6);
}

TEST_CASE("many threads log whole lines through the background thread") {
  Capture capture;
  log::start_background();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 100; ++i) log::info("line", {{"thread", t}, {"i", i}});
    });
  }
  for (auto& thread : threads) thread.join();
  log::stop_background();
  CHECK(capture.lines.size() == 300);
  for (const auto& line : capture.lines) CHECK(ordered_json::accept(line));
  log::info("direct again");
  CHECK(capture.lines.size() == 301);
}
