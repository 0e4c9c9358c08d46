// SPDX-License-Identifier: Apache-2.0
#include "telemetry/wall_clock.h"

#include <cstring>
#include <ctime>

namespace tidegate::telemetry {
namespace {

void put_digits(char* to, int value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) to[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

void WallClock::measure(TimePoint at) {
  const auto steady = std::chrono::steady_clock::now();
  const auto wall = std::chrono::system_clock::now();
  offset_ = std::chrono::duration_cast<Duration>(wall.time_since_epoch()) -
            std::chrono::duration_cast<Duration>(steady.time_since_epoch());
  next_measure_ = at + std::chrono::seconds(1);
}

std::string_view TimestampText::at(int64_t unix_ms) {
  int64_t second = unix_ms / 1000;
  int ms = static_cast<int>(unix_ms % 1000);
  if (ms < 0) {
    ms += 1000;
    --second;
  }
  if (second != second_) write_second(second);
  put_digits(text_ + 20, ms, 3);
  return {text_, kLength};
}

void TimestampText::write_second(int64_t second) {
  const auto time = static_cast<time_t>(second);
  tm parts{};
  gmtime_r(&time, &parts);
  std::memcpy(text_, "0000-00-00T00:00:00.000Z", kLength);
  put_digits(text_, parts.tm_year + 1900, 4);
  put_digits(text_ + 5, parts.tm_mon + 1, 2);
  put_digits(text_ + 8, parts.tm_mday, 2);
  put_digits(text_ + 11, parts.tm_hour, 2);
  put_digits(text_ + 14, parts.tm_min, 2);
  put_digits(text_ + 17, parts.tm_sec, 2);
  second_ = second;
}

}  // namespace tidegate::telemetry
