// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "unit/http2/frames.h"

namespace tidegate::fuzz {

/// HTTP/2 frames written shortly, so that a mutation hits what matters: type, flags and stream in a
/// byte each, the payload's length in two, the payload. What is cut off counts as payload.
inline std::string long_frames(std::string_view bytes) {
  constexpr size_t kHeader = 5;
  std::string frames;
  while (bytes.size() >= kHeader) {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    const size_t length = static_cast<size_t>(at(3)) << 8 | at(4);
    const std::string_view payload = bytes.substr(kHeader, length);
    frames += http::http2::frame(at(0), at(1), at(2), payload);
    bytes.remove_prefix(kHeader + payload.size());
  }
  return frames;
}

/// Whether `frames`, none of which is cut off, hold one of `type`.
inline bool has_frame(std::string_view frames, uint8_t type) {
  constexpr size_t kHeader = 9;
  while (frames.size() >= kHeader) {
    const auto at = [&](size_t i) { return static_cast<uint8_t>(frames[i]); };
    if (at(3) == type) return true;
    frames.remove_prefix(kHeader + (size_t{at(0)} << 16 | size_t{at(1)} << 8 | at(2)));
  }
  return false;
}

}  // namespace tidegate::fuzz
