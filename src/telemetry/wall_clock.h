// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace tidegate::telemetry {

/// Wall-clock time of a moment on the loop's clock, without reading the system's for each. The
/// offset between the two is measured again once a second. One per thread.
class WallClock {
 public:
  /// Milliseconds since 1970 at `at`, a moment of about now.
  int64_t unix_ms(TimePoint at) {
    if (at >= next_measure_) measure(at);
    return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch() + offset_)
        .count();
  }

 private:
  void measure(TimePoint at);

  TimePoint next_measure_{};
  Duration offset_{};
};

/// RFC 3339 text in UTC with milliseconds, "2026-01-02T03:04:05.678Z"; what changes once a second
/// is kept. One per thread.
class TimestampText {
 public:
  static constexpr size_t kLength = 24;

  /// Good until the next call.
  std::string_view at(int64_t unix_ms);

 private:
  void write_second(int64_t second);

  int64_t second_ = INT64_MIN;
  char text_[kLength] = {};
};

}  // namespace tidegate::telemetry
