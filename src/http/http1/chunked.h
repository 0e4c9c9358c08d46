// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidegate::http::http1 {

/// Takes the chunked coding off a body, up to its trailers (RFC 9112 7.1). Holds no bytes. Strict:
/// each line ends in CRLF, extensions follow the grammar without bad whitespace, and neither one
/// line nor all extensions together may grow without end.
class ChunkedDecoder {
 public:
  enum class Status : uint8_t {
    More,      // wants the bytes after `taken`
    Trailers,  // the last chunk has ended, its trailers begin after `taken`
    Bad,
  };
  struct Step {
    Status status;
    size_t taken;
    std::string_view data;  // part of the body, in the bytes given
  };
  /// Call again with what is left until all is taken, or the status is not More. Not after that.
  Step next(std::string_view bytes);

 private:
  enum class State : uint8_t {
    SizeStart,
    Size,
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    QuotedPair,
    QuotedEnd,
    LineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    Trailers,
  };

  bool take(char c);
  bool take_size(char c);
  bool take_extension(char c);
  bool end_of_value(char c);

  uint64_t left_ = 0;        // of the current chunk
  uint16_t line_size_ = 0;   // of the current chunk line
  uint16_t extensions_ = 0;  // bytes of all extensions
  State state_ = State::SizeStart;
};

}  // namespace tidegate::http::http1
