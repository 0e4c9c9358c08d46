// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/codec.h"
#include "http/http1/chunked.h"
#include "http/http1/head_collector.h"
#include "http/trailer_rules.h"

namespace tidegate::http::http1 {

/// Reads one body, whatever ends it, and its trailers.
class BodyReader {
 public:
  BodyReader() : left_(0) {}

  enum class Status : uint8_t { More, End, TooLarge, Bad };
  struct Step {
    Status status;
    size_t taken;
    std::string_view data;  // part of the body, in the bytes given
  };
  /// Where trailers are gathered, and where they go.
  struct Trailers {
    HeadCollector& collector;
    const Limits& limits;
    Headers* fields;  // nullptr: nowhere
    TrailersOf message;
  };

  void begin_sized(uint64_t length) {
    kind_ = Kind::Sized;
    left_ = length;
  }
  void begin_chunked() {
    kind_ = Kind::Chunked;
    chunks_ = ChunkedDecoder();
  }
  void begin_to_close() { kind_ = Kind::ToClose; }

  bool to_close() const { return kind_ == Kind::ToClose; }
  /// Bytes that are still to come; all ones when only the bytes themselves can tell.
  uint64_t left() const { return kind_ == Kind::Sized ? left_ : UINT64_MAX; }

  /// Call again with what is left while the status is More. REQUIRES: !bytes.empty().
  Step next(std::string_view bytes, Trailers trailers);

 private:
  enum class Kind : uint8_t { Sized, Chunked, Trailers, ToClose };

  Step next_trailers(std::string_view bytes, Trailers trailers);

  Kind kind_ = Kind::Sized;
  union {
    uint64_t left_;
    ChunkedDecoder chunks_;
  };
};

}  // namespace tidegate::http::http1
