// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "http/http2/settings.h"

namespace tidegate::http::http2 {

/// Counts what a peer costs against what it gets done, so that floods end and no honest peer does.
/// Three accounts. Frames: those that carry no message cost; requests, DATA that goes out and reads
/// of the socket earn, so one PING per packet is free, while packets full of them are not. Resets:
/// a stream broken off costs, one that was completed earns, so it takes more than half of all
/// streams broken off, for long. Neither needs a clock, and what has been earned is capped, so that
/// a long good behaviour does not pay for a flood.
class FrameBudget {
 public:
  explicit FrameBudget(const Settings& settings)
      : frames_most_(settings.frame_budget),
        resets_most_(settings.reset_budget),
        ignored_most_(int64_t{settings.connection_window} + settings.ignored_bytes),
        window_(settings.stream_window),
        frames_(frames_most_),
        resets_(resets_most_) {}

  void earn_frames(int64_t count) { frames_ = std::min(frames_ + count, frames_most_); }
  void spend_frames(int64_t count) { frames_ -= count; }
  void earn_reset() { resets_ = std::min(resets_ + 1, resets_most_); }
  void spend_reset() { --resets_; }
  /// `bytes` were read; those of frames that are looked at are then taken off again.
  void read(size_t bytes) { ignored_ += static_cast<int64_t>(bytes); }
  void looked_at(size_t bytes) { ignored_ -= static_cast<int64_t>(bytes); }
  void begin_stream() { ignored_ = std::max<int64_t>(ignored_ - window_, 0); }
  bool spent() const { return frames_ < 0 || resets_ < 0 || ignored_ > ignored_most_; }

 private:
  int64_t frames_most_;
  int64_t resets_most_;
  int64_t ignored_most_;
  int64_t window_;
  int64_t ignored_ = 0;
  int64_t frames_;
  int64_t resets_;
};

}  // namespace tidegate::http::http2
