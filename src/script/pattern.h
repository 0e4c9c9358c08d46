// SPDX-License-Identifier: Apache-2.0
// Lua patterns (Lua 5.1 manual 5.4.1, with %f and %g), written here because a match can take time
// exponential in the pattern: this one looks at an interrupt flag while it works, which the
// matcher inside LuaJIT never does.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidegate::script {

enum class PatternFault : uint8_t {
  None,
  Interrupted,  // the flag was raised while matching
  TooComplex,
  EndsWithPercent,
  MissingBracket,
  TooManyCaptures,
  InvalidCapture,
  InvalidPatternCapture,
  UnfinishedCapture,
  MissingBalance,
  MissingFrontierSet,
};
/// The sentence Lua users know for it.
const char* to_string(PatternFault fault);

/// One pattern applied to one subject. Allocates nothing and holds only views, so a Lua error may
/// pass over it.
class PatternMatcher {
 public:
  static constexpr int kMaxCaptures = 32;
  static constexpr int kMaxDepth = 200;

  struct Capture {
    const char* start;
    ptrdiff_t length;  // kPosition, kOpen, or the length
  };
  static constexpr ptrdiff_t kOpen = -1;
  static constexpr ptrdiff_t kPosition = -2;

  /// `interrupted` may be raised by a signal handler of this thread.
  PatternMatcher(std::string_view subject, std::string_view pattern,
                 const std::atomic<bool>& interrupted)
      : subject_(subject.data()),
        subject_end_(subject.data() + subject.size()),
        pattern_(pattern.data()),
        pattern_end_(pattern.data() + pattern.size()),
        interrupted_(interrupted) {}

  /// Matches the pattern at `at` (no anchor looked at); the end of the match, or nullptr: none, or
  /// fault().
  const char* match_at(const char* at) {
    captures_ = 0;
    depth_ = 0;
    return match(at, pattern_);
  }
  /// Drops a leading '^'; true if there was one.
  bool take_anchor() {
    if (pattern_ == pattern_end_ || *pattern_ != '^') return false;
    ++pattern_;
    return true;
  }

  PatternFault fault() const { return fault_; }
  int captures() const { return captures_; }
  const Capture& capture(int index) const { return list_[index]; }
  const char* subject() const { return subject_; }
  const char* subject_end() const { return subject_end_; }

 private:
  const char* match(const char* s, const char* p);
  const char* match_escape(const char* s, const char*& p, bool& handled);
  const char* match_item(const char* s, const char*& p);
  const char* expand_max(const char* s, const char* p, const char* item_end);
  const char* expand_min(const char* s, const char* p, const char* item_end);
  const char* open_capture(const char* s, const char* p, ptrdiff_t kind);
  const char* close_capture(const char* s, const char* p);
  const char* match_balance(const char* s, const char* p);
  const char* match_back_reference(const char* s, char digit);
  bool match_single(const char* s, const char* p, const char* item_end);
  bool match_set(unsigned char c, const char* p, const char* last);
  bool match_long_set(unsigned char c, const char* p, const char* last);
  bool read_long_set(const char* p, const char* last);
  const char* item_end(const char* p);
  const char* set_end(const char* p);
  const char* fail(PatternFault fault) {
    fault_ = fault;
    return nullptr;
  }
  bool step() {
    if ((++steps_ & (kCheckEvery - 1)) != 0) return true;
    return not_interrupted();
  }
  // Work that is worth so many steps has been done, or is about to be.
  bool steps(size_t count) {
    const uint32_t before = steps_;
    steps_ += static_cast<uint32_t>(count);
    return count < kCheckEvery && before / kCheckEvery == steps_ / kCheckEvery ? true
                                                                               : not_interrupted();
  }
  bool not_interrupted() {
    if (!interrupted_.load(std::memory_order_relaxed)) return true;
    fault_ = PatternFault::Interrupted;
    return false;
  }

  const char* subject_;
  const char* subject_end_;
  const char* pattern_;
  const char* pattern_end_;
  const std::atomic<bool>& interrupted_;
  uint32_t steps_ = 0;
  int depth_ = 0;
  int captures_ = 0;
  PatternFault fault_ = PatternFault::None;
  Capture list_[kMaxCaptures];
  // The long set that was met last: where it begins and ends, and what is in it.
  static constexpr uint32_t kCheckEvery = 1024;
  static constexpr ptrdiff_t kLongSet = 256;
  const char* long_set_ = nullptr;
  const char* long_set_end_ = nullptr;
  const char* read_set_ = nullptr;  // the one that `members_` is of
  uint64_t members_[4] = {};
};

/// No character in `pattern` has a meaning of its own, so a plain search does.
bool is_plain_pattern(std::string_view pattern);

}  // namespace tidegate::script
