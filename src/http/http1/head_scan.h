// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/codec.h"

namespace tidegate::http::http1 {

enum class HeadStatus : uint8_t { More, Complete, LineTooLong, FieldsTooLarge, Malformed };
/// A head has a request or status line in front of its fields, trailers have not.
enum class HeadKind : uint8_t { Message, Trailers };

/// Finds the end of a head whose bytes come in any pieces, and refuses at the earliest byte what is
/// over the limits or has a line that does not end in CRLF. Each byte is looked at once. What it
/// says depends on the bytes only, never on how they were split.
class HeadScan {
 public:
  explicit HeadScan(HeadKind kind) : in_first_line_(kind == HeadKind::Message) {}

  struct Progress {
    HeadStatus status;
    size_t taken;  // of the bytes given, those that belong to the head (when Complete or More)
  };
  Progress advance(std::string_view bytes, const Limits& limits);
  /// Field lines so far.
  uint32_t lines() const { return lines_; }

 private:
  HeadStatus check(size_t total, const Limits& limits) const;
  HeadStatus end_line(size_t end, const Limits& limits);

  size_t total_ = 0;  // bytes of earlier calls
  size_t line_start_ = 0;
  size_t fields_start_ = 0;
  uint32_t lines_ = 0;
  bool in_first_line_;
  char last_ = 0;  // last byte of the earlier calls
};

}  // namespace tidegate::http::http1
