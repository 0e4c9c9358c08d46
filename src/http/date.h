// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace tidegate::http {

/// Text of the Date field (RFC 9110 5.6.7), made anew once a second. One per thread.
class DateText {
 public:
  /// "Sun, 06 Nov 1994 08:49:37 GMT"; good until the next call.
  std::string_view at(int64_t unix_seconds);

 private:
  static constexpr size_t kLength = 29;
  int64_t second_ = -1;
  char text_[kLength + 1] = {};
};

/// Unix time of such a text. Only this form, which senders must use; not the two obsolete ones.
std::optional<int64_t> parse_date(std::string_view text);

}  // namespace tidegate::http
