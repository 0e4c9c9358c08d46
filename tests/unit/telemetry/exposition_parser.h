// SPDX-License-Identifier: Apache-2.0
// Reads both exposition formats strictly, so that a test fails where a scraper would.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::telemetry {

using SampleLabels = std::map<std::string, std::string>;

struct ParsedFamily {
  std::string type;
  std::string help;
  std::map<std::string, std::map<SampleLabels, double>> samples;  // by sample name
};

class ExpositionParser {
 public:
  explicit ExpositionParser(bool open_metrics) : open_metrics_(open_metrics) {}

  std::map<std::string, ParsedFamily> parse(std::string_view text) {
    REQUIRE(!text.empty());
    REQUIRE(text.back() == '\n');
    while (!text.empty()) {
      const size_t end = text.find('\n');
      line(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    CHECK(ended_ == open_metrics_);
    for (const auto& [name, family] : families_) check_histogram(name, family);
    return std::move(families_);
  }

 private:
  void line(std::string_view text) {
    REQUIRE_FALSE(ended_);
    if (text == "# EOF") {
      ended_ = true;
    } else if (text.starts_with("# TYPE ")) {
      const auto [name, type] = split(text.substr(7));
      family(name).type = type;
      REQUIRE((type == "counter" || type == "gauge" || type == "histogram"));
    } else if (text.starts_with("# HELP ")) {
      const auto [name, help] = split(text.substr(7));
      family(name).help = unescape(help, open_metrics_);
    } else {
      sample(text);
    }
  }

  /// The family that is being described; each must come in one piece.
  ParsedFamily& family(const std::string& name) {
    if (name != current_) {
      REQUIRE_MESSAGE(families_.count(name) == 0, name);
      current_ = name;
    }
    return families_[name];
  }

  void sample(std::string_view text) {
    REQUIRE(text.find('#') != 0);
    const size_t name_end = text.find_first_of("{ ");
    REQUIRE(name_end != std::string_view::npos);
    const std::string name(text.substr(0, name_end));
    check_name(name);
    text.remove_prefix(name_end);
    const SampleLabels labels = text[0] == '{' ? read_labels(text) : SampleLabels{};
    REQUIRE(text[0] == ' ');
    auto& samples = families_.at(current_).samples[name];
    REQUIRE_MESSAGE(samples.emplace(labels, number(text.substr(1))).second, name);
  }

  void check_name(const std::string& name) {
    const std::string& type = families_.at(current_).type;
    std::set<std::string> allowed{current_};
    if (type == "histogram")
      allowed = {current_ + "_bucket", current_ + "_count", current_ + "_sum"};
    if (type == "counter" && open_metrics_) allowed = {current_ + "_total"};
    CHECK_MESSAGE(allowed.count(name) == 1, name << " in " << current_);
  }

  static SampleLabels read_labels(std::string_view& text) {
    SampleLabels labels;
    do {
      text.remove_prefix(1);
      const size_t equals = text.find("=\"");
      REQUIRE(equals != std::string_view::npos);
      const std::string name(text.substr(0, equals));
      size_t end = equals + 2;
      while (text.at(end) != '"') end += text[end] == '\\' ? 2 : 1;
      const auto value = unescape(text.substr(equals + 2, end - equals - 2), true);
      REQUIRE(labels.emplace(name, value).second);
      text.remove_prefix(end + 1);
    } while (text.at(0) == ',');
    REQUIRE(text[0] == '}');
    text.remove_prefix(1);
    return labels;
  }

  static double number(std::string_view text) {
    if (text == "+Inf") return std::numeric_limits<double>::infinity();
    char* end = nullptr;
    const std::string copy(text);
    const double value = std::strtod(copy.c_str(), &end);
    REQUIRE_MESSAGE((!copy.empty() && *end == '\0'), copy);
    return value;
  }

  static std::string unescape(std::string_view text, bool quotes) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char c = text.at(++i);
      REQUIRE((c == '\\' || c == 'n' || (quotes && c == '"')));
      out += c == 'n' ? '\n' : c;
    }
    return out;
  }

  static std::pair<std::string, std::string> split(std::string_view text) {
    const size_t space = text.find(' ');
    REQUIRE(space != std::string_view::npos);
    return {std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
  }

  /// Buckets ascend and end with +Inf, which equals the count.
  static void check_histogram(const std::string& name, const ParsedFamily& family) {
    if (family.type != "histogram") return;
    std::map<SampleLabels, std::map<double, double>> buckets;
    for (const auto& [labels, value] : family.samples.at(name + "_bucket")) {
      SampleLabels rest = labels;
      const double bound = number(rest.at("le"));
      rest.erase("le");
      buckets[rest][bound] = value;
    }
    for (const auto& [labels, by_bound] : buckets) {
      double last = 0;
      for (const auto& [bound, value] : by_bound) {
        CHECK(value >= last);
        last = value;
      }
      CHECK(std::isinf(by_bound.rbegin()->first));
      CHECK(last == family.samples.at(name + "_count").at(labels));
      CHECK(family.samples.at(name + "_sum").count(labels) == 1);
    }
  }

  const bool open_metrics_;
  bool ended_ = false;
  std::string current_;
  std::map<std::string, ParsedFamily> families_;
};

}  // namespace tidegate::telemetry
