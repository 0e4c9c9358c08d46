// SPDX-License-Identifier: Apache-2.0
#include "telemetry/line_buffer.h"

#include <algorithm>
#include <array>

namespace tidegate::telemetry {
namespace {

// Bytes that stand for themselves in a JSON string without a further look.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (unsigned c = 0x20; c < 0x7f; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

size_t plain_prefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size() && kPlain[static_cast<unsigned char>(text[i])]) ++i;
  return i;
}

constexpr uint64_t repeated(uint8_t byte) {
  return uint64_t{0x0101010101010101} * byte;
}
constexpr uint64_t zero_bytes(uint64_t x) {
  return (x - repeated(1)) & ~x & repeated(0x80);
}

/// May take a plain byte for a hard one after a hard one, which only costs time; never the reverse.
bool all_plain(uint64_t eight) {
  const uint64_t high_or_control = eight | (eight - repeated(0x20));
  return ((high_or_control & repeated(0x80)) | zero_bytes(eight ^ repeated('"')) |
          zero_bytes(eight ^ repeated('\\')) | zero_bytes(eight ^ repeated(0x7f))) == 0;
}

/// Length of the UTF-8 sequence that `text` begins with (RFC 3629 section 4); 0: it is none.
size_t utf8_length(std::string_view text) {
  const auto byte = [text](size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto tail = [byte](size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
  const unsigned lead = byte(0);
  const unsigned second = byte(1);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead < 0xe0) return tail(1) ? 2 : 0;
  if (lead < 0xf0) {
    const bool overlong = lead == 0xe0 && second < 0xa0;
    const bool surrogate = lead == 0xed && second > 0x9f;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  const bool overlong = lead == 0xf0 && second < 0x90;
  const bool beyond = lead == 0xf4 && second > 0x8f;
  return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
}

}  // namespace

void LineBuffer::grow(size_t more) {
  bytes_.resize(std::max(bytes_.size() * 2, size_ + more));
}

void LineBuffer::put_thousandths(uint64_t thousandths) {
  put_integer(thousandths / 1000);
  const auto rest = static_cast<unsigned>(thousandths % 1000);
  const char decimals[4] = {'.', static_cast<char>('0' + rest / 100),
                            static_cast<char>('0' + rest / 10 % 10),
                            static_cast<char>('0' + rest % 10)};
  put(std::string_view(decimals, sizeof decimals));
}

void LineBuffer::put_number(double value) {
  if (!std::isfinite(value)) return put("null");
  ensure(32);
  char* at = bytes_.data() + size_;
  size_ = static_cast<size_t>(std::to_chars(at, at + 32, value).ptr - bytes_.data());
}

/// Copies the plain bytes that `text` begins with and gives how many they were. Eight at a time; a
/// longer text's last eight overlap what is already copied, so that few bytes go one by one.
size_t LineBuffer::put_plain_prefix(std::string_view text) {
  constexpr size_t kStep = 8;
  ensure(text.size() + kStep);
  char* const to = bytes_.data() + size_;
  const auto copy_eight = [&](size_t at) {
    uint64_t eight;
    std::memcpy(&eight, text.data() + at, kStep);
    std::memcpy(to + at, &eight, kStep);
    return all_plain(eight);
  };
  size_t i = 0;
  while (text.size() - i >= kStep && copy_eight(i)) i += kStep;
  if (text.size() > kStep && text.size() - i < kStep && copy_eight(text.size() - kStep)) {
    i = text.size();
  }
  for (; i < text.size() && kPlain[static_cast<unsigned char>(text[i])]; ++i) to[i] = text[i];
  size_ += i;
  return i;
}

void LineBuffer::put_escaped(std::string_view text) {
  while (true) {
    text.remove_prefix(put_plain_prefix(text));
    if (text.empty()) return;
    text.remove_prefix(put_hard(text));
  }
}

/// One character that needs a closer look; gives how many bytes it took.
size_t LineBuffer::put_hard(std::string_view rest) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto c = static_cast<unsigned char>(rest[0]);
  if (c == '"' || c == '\\') {
    put('\\');
    put(rest[0]);
  } else if (c == '\n') {
    put("\\n");
  } else if (c == '\r') {
    put("\\r");
  } else if (c == '\t') {
    put("\\t");
  } else if (c < 0x20 || c == 0x7f) {
    put("\\u00");
    put(kHex[c >> 4]);
    put(kHex[c & 15]);
  } else {
    const size_t length = utf8_length(rest);
    put(length == 0 ? "\xef\xbf\xbd" : rest.substr(0, length));
    return std::max<size_t>(length, 1);
  }
  return 1;
}

void LineBuffer::put_word(std::string_view text) {
  const bool bare = !text.empty() && plain_prefix(text) == text.size() &&
                    text.find_first_of(" =") == std::string_view::npos;
  if (bare) return put(text);
  put('"');
  put_escaped(text);
  put('"');
}

}  // namespace tidegate::telemetry
