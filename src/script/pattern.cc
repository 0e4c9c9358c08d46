// SPDX-License-Identifier: Apache-2.0
#include "script/pattern.h"

#include <array>
#include <cstring>

namespace tidegate::script {
namespace {

enum CharBit : uint8_t {
  kControl = 1,
  kSpace = 2,
  kPunct = 4,
  kDigit = 8,
  kHex = 16,
  kUpper = 32,
  kLower = 64,
};
constexpr uint8_t kAlpha = kUpper | kLower;
constexpr uint8_t kAlnum = kAlpha | kDigit;

// ASCII only, whatever the process' locale: a policy means the same everywhere.
constexpr std::array<uint8_t, 256> make_char_bits() {
  std::array<uint8_t, 256> bits{};
  for (unsigned c = 0; c < 128; ++c) {
    uint8_t b = 0;
    if (c < 32 || c == 127) b |= kControl;
    if (c == ' ' || (c >= 9 && c <= 13)) b |= kSpace;
    if (c >= '0' && c <= '9') b |= kDigit | kHex;
    if (c >= 'A' && c <= 'Z') b |= kUpper;
    if (c >= 'a' && c <= 'z') b |= kLower;
    if ((c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f')) b |= kHex;
    if (c > 32 && c < 127 && (b & kAlnum) == 0) b |= kPunct;
    bits[c] = b;
  }
  return bits;
}
constexpr auto kCharBits = make_char_bits();

constexpr uint8_t class_bits(char lower) {
  switch (lower) {
    case 'a':
      return kAlpha;
    case 'c':
      return kControl;
    case 'd':
      return kDigit;
    case 'g':
      return kAlnum | kPunct;
    case 'l':
      return kLower;
    case 'p':
      return kPunct;
    case 's':
      return kSpace;
    case 'u':
      return kUpper;
    case 'w':
      return kAlnum;
    case 'x':
      return kHex;
    default:
      return 0;
  }
}

// What `%letter` says of the character `c`.
bool match_class(unsigned char c, char letter) {
  const bool is_upper = letter >= 'A' && letter <= 'Z';
  const char lower = is_upper ? static_cast<char>(letter | 0x20) : letter;
  const uint8_t bits = class_bits(lower);
  bool in;
  if (bits != 0) {
    in = (kCharBits[c] & bits) != 0;
  } else if (lower == 'z') {
    in = c == 0;
  } else {
    return c == static_cast<unsigned char>(letter);
  }
  return in != is_upper;
}

}  // namespace

const char* to_string(PatternFault fault) {
  switch (fault) {
    case PatternFault::None:
      return "";
    case PatternFault::Interrupted:
      return "interrupted";
    case PatternFault::TooComplex:
      return "pattern too complex";
    case PatternFault::EndsWithPercent:
      return "malformed pattern (ends with '%')";
    case PatternFault::MissingBracket:
      return "malformed pattern (missing ']')";
    case PatternFault::TooManyCaptures:
      return "too many captures";
    case PatternFault::InvalidCapture:
      return "invalid capture index";
    case PatternFault::InvalidPatternCapture:
      return "invalid pattern capture";
    case PatternFault::UnfinishedCapture:
      return "unfinished capture";
    case PatternFault::MissingBalance:
      return "unbalanced pattern";
    case PatternFault::MissingFrontierSet:
      return "missing '[' after '%f' in pattern";
  }
  return "";
}

bool is_plain_pattern(std::string_view pattern) {
  for (const char c : pattern) {
    switch (c) {
      case '^':
      case '$':
      case '*':
      case '+':
      case '?':
      case '.':
      case '(':
      case '[':
      case '%':
      case '-':
        return false;
      default:
        break;
    }
  }
  return true;
}

// Behind one single-character item: `x`, `%x` or `[set]`.
const char* PatternMatcher::item_end(const char* p) {
  const char first = *p++;
  if (first == '%') {
    if (p == pattern_end_) return fail(PatternFault::EndsWithPercent);
    return p + 1;
  }
  return first == '[' ? set_end(p) : p;
}

// Behind the set whose '[' stands before `p`.
const char* PatternMatcher::set_end(const char* p) {
  const char* begin = p;
  if (begin == long_set_) return long_set_end_;
  if (p < pattern_end_ && *p == '^') ++p;
  // A ']' right at the beginning of a set stands for itself.
  do {
    if (p == pattern_end_) return fail(PatternFault::MissingBracket);
    if (*p++ == '%') {
      if (p == pattern_end_) return fail(PatternFault::MissingBracket);
      ++p;
    }
    if (p - begin > kLongSet && !step()) return nullptr;
  } while (p == pattern_end_ || *p != ']');
  if (p - begin > kLongSet) {
    long_set_ = begin;
    long_set_end_ = p + 1;
  }
  return p + 1;
}

// Sets can be as long as the memory budget: a long one is read once, not for each character.
bool PatternMatcher::match_long_set(unsigned char c, const char* p, const char* last) {
  if (read_set_ != p && !read_long_set(p, last)) return false;
  const bool found = (members_[c / 64] >> (c % 64) & 1) != 0;
  return found != (p[1] == '^');
}

// False: interrupted.
bool PatternMatcher::read_long_set(const char* p, const char* last) {
  read_set_ = nullptr;
  for (uint64_t& part : members_) part = 0;
  const auto add = [this](unsigned c) { members_[c / 64] |= uint64_t{1} << (c % 64); };
  const char* at = p + (p[1] == '^' ? 2 : 1);
  while (at < last) {
    if (!step()) return false;
    if (*at == '%') {
      if (!steps(64)) return false;
      for (unsigned c = 0; c < 256; ++c) {
        if (match_class(static_cast<unsigned char>(c), at[1])) add(c);
      }
      at += 2;
    } else if (at[1] == '-' && at + 2 < last) {
      if (!steps(16)) return false;
      const auto high = static_cast<unsigned char>(at[2]);
      for (unsigned c = static_cast<unsigned char>(at[0]); c <= high; ++c) add(c);
      at += 3;
    } else {
      add(static_cast<unsigned char>(*at));
      ++at;
    }
  }
  read_set_ = p;
  return true;
}

// `p` stands at '[', `last` at the ']' that closes the set.
bool PatternMatcher::match_set(unsigned char c, const char* p, const char* last) {
  if (last - p > kLongSet) [[unlikely]]
    return match_long_set(c, p, last);
  bool found_means = true;
  ++p;
  if (*p == '^') {
    found_means = false;
    ++p;
  }
  while (p < last) {
    if (*p == '%') {
      if (match_class(c, p[1])) return found_means;
      p += 2;
    } else if (p[1] == '-' && p + 2 < last) {
      const auto low = static_cast<unsigned char>(p[0]);
      const auto high = static_cast<unsigned char>(p[2]);
      if (low <= c && c <= high) return found_means;
      p += 3;
    } else {
      if (static_cast<unsigned char>(*p) == c) return found_means;
      ++p;
    }
  }
  return !found_means;
}

bool PatternMatcher::match_single(const char* s, const char* p, const char* end) {
  if (s >= subject_end_) return false;
  const auto c = static_cast<unsigned char>(*s);
  switch (*p) {
    case '.':
      return true;
    case '%':
      return match_class(c, p[1]);
    case '[':
      return match_set(c, p, end - 1);
    default:
      return static_cast<unsigned char>(*p) == c;
  }
}

const char* PatternMatcher::expand_max(const char* s, const char* p, const char* end) {
  ptrdiff_t count = 0;
  while (match_single(s + count, p, end)) {
    if (!step()) return nullptr;
    ++count;
  }
  for (; count >= 0; --count) {
    const char* result = match(s + count, end + 1);
    if (result != nullptr || fault_ != PatternFault::None) return result;
  }
  return nullptr;
}

const char* PatternMatcher::expand_min(const char* s, const char* p, const char* end) {
  while (true) {
    const char* result = match(s, end + 1);
    if (result != nullptr || fault_ != PatternFault::None) return result;
    if (!match_single(s, p, end)) return nullptr;
    ++s;
  }
}

const char* PatternMatcher::open_capture(const char* s, const char* p, ptrdiff_t kind) {
  if (captures_ >= kMaxCaptures) return fail(PatternFault::TooManyCaptures);
  list_[captures_] = {s, kind};
  ++captures_;
  const char* result = match(s, p);
  if (result == nullptr) --captures_;
  return result;
}

const char* PatternMatcher::close_capture(const char* s, const char* p) {
  int index = captures_ - 1;
  while (index >= 0 && list_[index].length != kOpen) --index;
  if (index < 0) return fail(PatternFault::InvalidPatternCapture);
  list_[index].length = s - list_[index].start;
  const char* result = match(s, p);
  if (result == nullptr) list_[index].length = kOpen;
  return result;
}

// `p` stands behind "%b".
const char* PatternMatcher::match_balance(const char* s, const char* p) {
  if (pattern_end_ - p < 2) return fail(PatternFault::MissingBalance);
  if (s >= subject_end_ || *s != p[0]) return nullptr;
  size_t open = 1;
  for (++s; s < subject_end_; ++s) {
    if (!step()) return nullptr;
    if (*s == p[1]) {
      if (--open == 0) return s + 1;
    } else if (*s == p[0]) {
      ++open;
    }
  }
  return nullptr;
}

const char* PatternMatcher::match_back_reference(const char* s, char digit) {
  const int index = digit - '1';
  if (index < 0 || index >= captures_ || list_[index].length == kOpen) {
    return fail(PatternFault::InvalidCapture);
  }
  // A position capture holds no text; like an unfinished one it can match nothing.
  if (list_[index].length < 0) return nullptr;
  const auto length = list_[index].length;
  if (subject_end_ - s < length) return nullptr;
  if (!steps(static_cast<size_t>(length) / 16)) return nullptr;
  if (length > 0 && std::memcmp(list_[index].start, s, static_cast<size_t>(length)) != 0) {
    return nullptr;
  }
  return s + length;
}

// The items that begin with '%' and are no single character: %b, %f, %1 to %9. On success `p`
// stands behind the item and the result is where the subject goes on.
const char* PatternMatcher::match_escape(const char* s, const char*& p, bool& handled) {
  handled = true;
  const char kind = p + 1 < pattern_end_ ? p[1] : '\0';
  if (kind == 'b') {
    const char* next = match_balance(s, p + 2);
    p += 4;
    return next;
  }
  if (kind == 'f') {
    const char* set = p + 2;
    if (set >= pattern_end_ || *set != '[') return fail(PatternFault::MissingFrontierSet);
    const char* end = item_end(set);
    if (end == nullptr) return nullptr;
    const auto before = static_cast<unsigned char>(s == subject_ ? '\0' : s[-1]);
    const auto here = static_cast<unsigned char>(s < subject_end_ ? *s : '\0');
    p = end;
    return !match_set(before, set, end - 1) && match_set(here, set, end - 1) ? s : nullptr;
  }
  if (kind >= '0' && kind <= '9') {
    const char* next = match_back_reference(s, kind);
    p += 2;
    return next;
  }
  handled = false;
  return s;
}

// One single-character item with its repetition. Where the rest has been matched already, `p` is
// set to nullptr and the result is final.
const char* PatternMatcher::match_item(const char* s, const char*& p) {
  const char* end = item_end(p);
  if (end == nullptr) return nullptr;
  const char repeat = end < pattern_end_ ? *end : '\0';
  const char* item = p;
  if (repeat == '*' || repeat == '-' || repeat == '+') {
    p = nullptr;
    if (repeat == '-') return expand_min(s, item, end);
    if (repeat == '*') return expand_max(s, item, end);
    return match_single(s, item, end) ? expand_max(s + 1, item, end) : nullptr;
  }
  if (repeat == '?') {
    if (match_single(s, item, end)) {
      const char* result = match(s + 1, end + 1);
      if (result != nullptr || fault_ != PatternFault::None) {
        p = nullptr;
        return result;
      }
    }
    p = end + 1;
    return s;
  }
  if (!match_single(s, item, end)) return nullptr;
  p = end;
  return s + 1;
}

const char* PatternMatcher::match(const char* s, const char* p) {
  if (++depth_ > kMaxDepth) return fail(PatternFault::TooComplex);
  while (p < pattern_end_ && s != nullptr) {
    if (!step()) return nullptr;
    if (*p == '(') {
      const bool position = p + 1 < pattern_end_ && p[1] == ')';
      s = position ? open_capture(s, p + 2, kPosition) : open_capture(s, p + 1, kOpen);
      break;
    }
    if (*p == ')') {
      s = close_capture(s, p + 1);
      break;
    }
    if (*p == '$' && p + 1 == pattern_end_) {
      if (s != subject_end_) s = nullptr;
      break;
    }
    if (*p == '%') {
      bool handled;
      s = match_escape(s, p, handled);
      if (handled) continue;
    }
    s = match_item(s, p);
    if (p == nullptr) break;
  }
  --depth_;
  return s;
}

}  // namespace tidegate::script
