// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace tidegate::http {

std::string_view DateText::at(int64_t unix_seconds) {
  if (unix_seconds != second_) {
    second_ = unix_seconds;
    // Not strftime: names of days and months must not follow the locale.
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const time_t seconds = unix_seconds;
    tm t{};
    gmtime_r(&seconds, &t);
    char text[64];
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[t.tm_wday],
                  t.tm_mday, kMonths[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    std::copy(text, text + kLength, text_);
  }
  return {text_, kLength};
}

}  // namespace tidegate::http
