// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "base/strings.h"

namespace tidegate::http {
namespace {

constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

std::string_view DateText::at(int64_t unix_seconds) {
  if (unix_seconds != second_) {
    second_ = unix_seconds;
    // Not strftime: names of days and months must not follow the locale.
    const time_t seconds = unix_seconds;
    tm t{};
    gmtime_r(&seconds, &t);
    char text[64];
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  kDays[static_cast<size_t>(t.tm_wday)].data(), t.tm_mday,
                  kMonths[static_cast<size_t>(t.tm_mon)].data(), t.tm_year + 1900, t.tm_hour,
                  t.tm_min, t.tm_sec);
    std::copy(text, text + kLength, text_);
  }
  return {text_, kLength};
}

std::optional<int64_t> parse_date(std::string_view text) {
  constexpr std::string_view kShape = "aaa, 00 aaa 0000 00:00:00 GMT";
  if (text.size() != kShape.size()) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == '0' ? !digit : kShape[i] != 'a' && text[i] != kShape[i]) return std::nullopt;
  }
  const auto number = [text](size_t at, size_t size) {
    return static_cast<int>(*parse_decimal(text.substr(at, size)));
  };
  const auto month = std::ranges::find(kMonths, text.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  tm t{};
  t.tm_mday = number(5, 2);
  t.tm_mon = static_cast<int>(month - kMonths.begin());
  t.tm_year = number(12, 4) - 1900;
  t.tm_hour = number(17, 2);
  t.tm_min = number(20, 2);
  t.tm_sec = number(23, 2);
  return timegm(&t);
}

}  // namespace tidegate::http
