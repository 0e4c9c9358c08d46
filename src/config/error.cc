// SPDX-License-Identifier: Apache-2.0
#include "config/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace tidegate::config {

const std::string& Mark::name() const {
  static const std::string kNone;
  return source ? *source : kNone;
}

std::string Mark::to_string() const {
  return line == 0 ? name() : fmt::format("{}:{}:{}", name(), line, column);
}

std::string Error::to_string() const {
  if (path.empty()) return fmt::format("{}: {}", mark.to_string(), message);
  return fmt::format("{}: {}: {}", mark.to_string(), path, message);
}

void sort_by_position(Errors& errors) {
  std::map<std::string, size_t> order;
  for (const Error& error : errors) order.emplace(error.mark.name(), order.size());
  std::stable_sort(errors.begin(), errors.end(), [&](const Error& a, const Error& b) {
    return std::tuple(order[a.mark.name()], a.mark.line, a.mark.column) <
           std::tuple(order[b.mark.name()], b.mark.line, b.mark.column);
  });
}

std::string to_string(const Errors& errors) {
  std::string text;
  for (const Error& error : errors) text += error.to_string() + "\n";
  return text;
}

}  // namespace tidegate::config
