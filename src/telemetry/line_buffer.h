// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace tidegate::telemetry {

/// Builds one log line. Memory is kept from line to line. Not thread-safe.
class LineBuffer {
 public:
  LineBuffer() : bytes_(1024) {}

  void clear() { size_ = 0; }
  size_t size() const { return size_; }
  std::string_view view() const { return {bytes_.data(), size_}; }

  void put(char c) {
    ensure(1);
    bytes_[size_++] = c;
  }
  void put(std::string_view text) {
    ensure(text.size());
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  /// A literal, whose copy the compiler can write out.
  template <size_t N>
  void put_literal(const char (&literal)[N]) {
    ensure(N - 1);
    std::memcpy(bytes_.data() + size_, literal, N - 1);
    size_ += N - 1;
  }
  template <class Integer>
  void put_integer(Integer value) {
    ensure(24);
    char* at = bytes_.data() + size_;
    size_ = static_cast<size_t>(std::to_chars(at, at + 24, value).ptr - bytes_.data());
  }
  /// `thousandths` / 1000 with three decimals; microseconds as milliseconds, say.
  void put_thousandths(uint64_t thousandths);
  /// JSON has no word for infinity or NaN: null.
  void put_number(double value);
  /// `text` as the inside of a JSON string. What is not UTF-8 becomes U+FFFD, one for each byte.
  void put_escaped(std::string_view text);
  /// `text` as one word: bare where it has no space, quote or control byte, else in quotes.
  void put_word(std::string_view text);

 private:
  void ensure(size_t more) {
    if (bytes_.size() - size_ < more) grow(more);
  }
  void grow(size_t more);
  size_t put_plain_prefix(std::string_view text);
  size_t put_hard(std::string_view rest);

  std::vector<char> bytes_;
  size_t size_ = 0;
};

}  // namespace tidegate::telemetry
