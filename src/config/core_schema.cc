// SPDX-License-Identifier: Apache-2.0
#include "config/core_schema.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

namespace tidegate::config {
namespace {

using Json = nlohmann::ordered_json;

constexpr auto kReplace = nlohmann::detail::error_handler_t::replace;

template <class Number>
std::optional<Number> parse_whole(std::string_view digits, int base) {
  Number number{};
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<Json> resolve_integer(std::string_view text) {
  if (text.starts_with("0o") || text.starts_with("0x")) {
    auto number = parse_whole<uint64_t>(text.substr(2), text[1] == 'o' ? 8 : 16);
    return number ? std::optional<Json>(*number) : std::nullopt;
  }
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text[0] == '+') return std::nullopt;
  if (auto number = parse_whole<int64_t>(text, 10)) return Json(*number);
  if (auto number = parse_whole<uint64_t>(text, 10)) return Json(*number);
  return std::nullopt;
}

/// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool is_float(std::string_view text) {
  size_t i = 0;
  auto digits = [&] {
    size_t from = i;
    while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
    return i - from;
  };
  auto sign = [&] {
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  };
  sign();
  size_t before = digits();
  size_t after = 0;
  if (i < text.size() && text[i] == '.') {
    ++i;
    after = digits();
  }
  if (before + after == 0) return false;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    sign();
    if (digits() == 0) return false;
  }
  return i == text.size();
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_plain_safe(std::string_view text) {
  if (text.empty() || text.size() > 60) return false;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos) {
    return false;
  }
  if (text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`").find(text.front()) != std::string_view::npos) {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c < 127 && std::string_view(",[]{}\"$").find(c) == std::string_view::npos;
  });
}

}  // namespace

Json resolve_scalar(std::string_view text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
  if (is_one_of(text, {"true", "True", "TRUE"})) return true;
  if (is_one_of(text, {"false", "False", "FALSE"})) return false;
  if (auto integer = resolve_integer(text)) return *integer;
  if (is_float(text)) {
    double number = std::strtod(std::string(text).c_str(), nullptr);
    if (std::isfinite(number)) return number;
  }
  return std::string(text);
}

std::string write_scalar(std::string_view text, bool is_string) {
  bool typed = !resolve_scalar(text).is_string();  // as a plain scalar it is not text
  if (is_string ? is_plain_safe(text) && !typed : is_plain_safe(text) || typed) {
    return std::string(text);
  }
  std::string quoted = Json(std::string(text)).dump(-1, ' ', false, kReplace);
  // A dump must read back as it is: a literal $ is written $$.
  std::string out;
  for (char c : quoted) out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

}  // namespace tidegate::config
