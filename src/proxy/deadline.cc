// SPDX-License-Identifier: Apache-2.0
#include "proxy/deadline.h"

#include <algorithm>
#include <charconv>

#include "base/strings.h"

namespace tidegate::proxy {
namespace {

constexpr uint64_t kMost = 99'999'999;
// Eight digits of hours are more than a moment in time can be ahead.
constexpr Duration kLongest = std::chrono::hours(24 * 365);

struct Unit {
  char letter;
  int64_t nanoseconds;
};
constexpr Unit kUnits[] = {{'n', 1},
                           {'u', 1'000},
                           {'m', 1'000'000},
                           {'S', 1'000'000'000},
                           {'M', 60'000'000'000},
                           {'H', 3'600'000'000'000}};

}  // namespace

std::optional<Duration> parse_grpc_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  const auto number = parse_decimal(text.substr(0, text.size() - 1), kMost);
  if (!number) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (unit.letter != text.back()) continue;
    const int64_t most = kLongest.count() / unit.nanoseconds;
    return Duration(std::min(static_cast<int64_t>(*number), most) * unit.nanoseconds);
  }
  return std::nullopt;
}

std::string_view format_grpc_timeout(Duration time, Arena& arena) {
  constexpr size_t kSize = 9;
  const int64_t left = std::max<int64_t>(time.count(), 1);
  char* to = arena.chars(kSize);
  for (const Unit& unit : kUnits) {
    const int64_t number = left / unit.nanoseconds;
    if (number > static_cast<int64_t>(kMost)) continue;
    char* end = std::to_chars(to, to + kSize - 1, number).ptr;
    *end++ = unit.letter;
    return {to, static_cast<size_t>(end - to)};
  }
  return "99999999H";
}

}  // namespace tidegate::proxy
