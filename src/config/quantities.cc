// SPDX-License-Identifier: Apache-2.0
// Durations, sizes, counts, flags and shares of values.h.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/strings.h"
#include "config/values.h"

namespace tidegate::config {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;

template <class Amount>
struct Unit {
  std::string_view name;
  Amount amount;
};

// Largest first: formatting takes the first that divides.
constexpr std::array<Unit<int64_t>, 4> kTimeUnits{
    {{"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000}, {"ms", 1'000'000}}};
constexpr std::array<Unit<uint64_t>, 3> kSizeUnits{
    {{"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}}};

struct Quantity {
  uint64_t number = 0;
  std::string_view unit;
};

/// Digits and what follows them.
std::optional<Quantity> split_quantity(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  auto number = parse_decimal(text.substr(0, digits));
  if (!number) return std::nullopt;
  return Quantity{*number, text.substr(digits)};
}

}  // namespace

Fallible<Duration> parse_duration(std::string_view text) {
  auto quantity = split_quantity(text);
  if (quantity && quantity->number == 0 && quantity->unit.empty()) return Duration::zero();
  for (const auto& unit : kTimeUnits) {
    if (!quantity || quantity->unit != unit.name) continue;
    if (quantity->number > static_cast<uint64_t>(INT64_MAX / unit.amount)) break;
    return nanoseconds(static_cast<int64_t>(quantity->number) * unit.amount);
  }
  return tl::unexpected(
      fmt::format("expected a duration such as 250ms, 30s, 5m or 1h, got '{}'", text));
}

std::string format_duration(Duration duration) {
  int64_t nanos = duration_cast<nanoseconds>(duration).count();
  if (nanos == 0) return "0s";
  for (const auto& unit : kTimeUnits) {
    if (nanos % unit.amount == 0) return fmt::format("{}{}", nanos / unit.amount, unit.name);
  }
  return fmt::format("{}ns", nanos);
}

Fallible<uint64_t> parse_size(std::string_view text) {
  auto quantity = split_quantity(text);
  if (quantity && quantity->unit.empty()) return quantity->number;
  for (const auto& unit : kSizeUnits) {
    if (!quantity || quantity->unit != unit.name) continue;
    if (quantity->number > UINT64_MAX / unit.amount) break;
    return quantity->number * unit.amount;
  }
  return tl::unexpected(
      fmt::format("expected a size such as 512 (bytes), 64KiB, 10MiB or 1GiB, got '{}'", text));
}

std::string format_size(uint64_t bytes) {
  for (const auto& unit : kSizeUnits) {
    if (bytes != 0 && bytes % unit.amount == 0) {
      return fmt::format("{}{}", bytes / unit.amount, unit.name);
    }
  }
  return fmt::format("{}", bytes);
}

Fallible<uint64_t> parse_count(std::string_view text) {
  if (auto number = parse_decimal(text)) return *number;
  return tl::unexpected(fmt::format("expected a whole number, got '{}'", text));
}

Fallible<bool> parse_flag(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return tl::unexpected(fmt::format("expected true or false, got '{}'", text));
}

Fallible<Rate> parse_rate(std::string_view text) {
  auto quantity = split_quantity(text);
  if (quantity && quantity->number > 0 && quantity->unit.size() == 2 && quantity->unit[0] == '/') {
    for (const auto& unit : kTimeUnits) {
      if (unit.name == quantity->unit.substr(1)) {
        return Rate{quantity->number, nanoseconds(unit.amount)};
      }
    }
  }
  return tl::unexpected(fmt::format("expected a rate such as 1000/s, 10/m or 5/h, got '{}'", text));
}

std::string format_rate(const Rate& rate) {
  for (const auto& unit : kTimeUnits) {
    if (rate.period == nanoseconds(unit.amount)) return fmt::format("{}/{}", rate.count, unit.name);
  }
  return {};
}

Fallible<double> parse_share(std::string_view text, uint64_t max_percent) {
  auto quantity = split_quantity(text);
  if (quantity && quantity->unit == "%" && quantity->number <= max_percent) {
    return static_cast<double>(quantity->number) / 100;
  }
  return tl::unexpected(
      fmt::format("expected a share from 0% to {}%, got '{}'", max_percent, text));
}

std::string format_share(double share) {
  return fmt::format("{}%", std::lround(share * 100));
}

}  // namespace tidegate::config
