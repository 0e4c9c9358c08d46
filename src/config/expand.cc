// SPDX-License-Identifier: Apache-2.0
#include "config/expand.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace tidegate::config {
namespace {

constexpr std::string_view kSpecial = "{}[],:#";
constexpr char kFirstShield = '\x0e';
constexpr int kMaxDefaults = 16;

bool is_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

bool is_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) return false;
  return std::all_of(name.begin(), name.end(), is_name_char);
}

/// Length of the reference at the front of `text`, which starts with `${`, with those within its
/// default; 0: it has no end.
size_t whole_length(std::string_view text) {
  size_t open = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("${")) {
      ++open;
      ++i;
    } else if (text[i] == '}' && --open == 0) {
      return i + 1;
    }
  }
  return 0;
}

Fallible<std::string> expand_nested(std::string_view text, const Environment& environment,
                                    int depth);

/// Value of the text between `${` and `}`.
Fallible<std::string> look_up(std::string_view reference, const Environment& environment,
                              int depth) {
  size_t split = reference.find(":-");
  std::string name(reference.substr(0, split));
  if (!is_name(name)) {
    return tl::unexpected(fmt::format(
        "'${{{}}}' names no variable: write ${{NAME}} or ${{NAME:-default}}, or $$ for a $",
        reference));
  }
  std::optional<std::string> value = environment(name);
  if (split == std::string_view::npos) {
    if (value) return *value;
    return tl::unexpected(fmt::format(
        "environment variable '{0}' is not set: set it, or give a default as ${{{0}:-default}}",
        name));
  }
  if (value && !value->empty()) return *value;
  return expand_nested(reference.substr(split + 2), environment, depth + 1);
}

Fallible<std::string> expand_nested(std::string_view text, const Environment& environment,
                                    int depth) {
  if (depth > kMaxDefaults) {
    return tl::unexpected(fmt::format("more than {} defaults within each other", kMaxDefaults));
  }
  std::string out;
  for (size_t i = 0; i < text.size();) {
    std::string_view rest = text.substr(i);
    if (rest.starts_with("$$")) {
      out += '$';
      i += 2;
    } else if (rest.starts_with("${")) {
      const size_t length = whole_length(rest);
      if (length == 0) {
        return tl::unexpected(std::string("'${' has no '}': close it, or write $$ for a $"));
      }
      auto value = look_up(rest.substr(2, length - 3), environment, depth);
      if (!value) return value;
      out += *value;
      i += length;
    } else {
      out += text[i++];
    }
  }
  return out;
}

/// Length of a `${…}` at the front of `text`, which must end on the same line; 0: none.
size_t reference_length(std::string_view text) {
  if (!text.starts_with("${")) return 0;
  size_t name_end = 2;
  while (name_end < text.size() && is_name_char(text[name_end])) ++name_end;
  // What is none, such as one without its end, must not swallow the YAML behind it.
  if (name_end == text.size() || (text[name_end] != ':' && text[name_end] != '}')) return 0;
  return whole_length(text.substr(0, text.find('\n')));
}

/// Length of the `[::1]:` of an IPv6 address with port at the front of `text`; 0: none.
size_t bracketed_address_length(std::string_view text) {
  size_t end = text.find_first_not_of("0123456789abcdefABCDEF:.", 1);
  if (end == std::string_view::npos || end + 2 >= text.size() || text[end] != ']') return 0;
  if (text.substr(0, end).find("::") == std::string_view::npos && end < 16) return 0;
  bool port = text[end + 1] == ':' && text[end + 2] >= '0' && text[end + 2] <= '9';
  return port ? end + 2 : 0;
}

}  // namespace

Fallible<std::string> expand(std::string_view text, const Environment& environment) {
  return expand_nested(text, environment, 0);
}

bool has_empty_default(std::string_view text) {
  while (text.starts_with("${") && whole_length(text) == text.size()) {
    const size_t split = text.find(":-");
    if (split == std::string_view::npos || !is_name(text.substr(2, split - 2))) return false;
    text = text.substr(split + 2, text.size() - split - 3);
    if (text.empty()) return true;
  }
  return false;
}

std::string shield(std::string_view text) {
  std::string out(text);
  auto cover = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) {
      size_t special = kSpecial.find(out[i]);
      if (special != std::string_view::npos) out[i] = static_cast<char>(kFirstShield + special);
    }
  };
  for (size_t at = text.find_first_of("$["); at != std::string_view::npos;
       at = text.find_first_of("$[", at + 1)) {
    cover(at, at + (text[at] == '$' ? reference_length(text.substr(at))
                                    : bracketed_address_length(text.substr(at))));
  }
  return out;
}

std::string unshield(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= kFirstShield && c < kFirstShield + static_cast<char>(kSpecial.size())) {
      c = kSpecial[static_cast<size_t>(c - kFirstShield)];
    }
  }
  return out;
}

}  // namespace tidegate::config
