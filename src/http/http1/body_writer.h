// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

#include "base/output_buffer.h"
#include "http/headers.h"
#include "http/http1/head_writer.h"

namespace tidegate::http::http1 {

/// Writes one body in the framing that its head announced.
class BodyWriter {
 public:
  void begin(Framing framing, uint64_t length) {
    framing_ = framing;
    left_ = framing == Framing::Sized ? length : 0;
  }
  /// `bytes` may be borrowed until the next flush. What is more than was announced is left out.
  void write(OutputBuffer& output, std::string_view bytes);
  /// Trailers go out where the framing has a place for them. False: less was written than
  /// announced, so the connection must end.
  bool end(OutputBuffer& output, const Headers& trailers);
  /// Announced and not written yet.
  uint64_t left() const { return left_; }

 private:
  Framing framing_ = Framing::None;
  uint64_t left_ = 0;
};

}  // namespace tidegate::http::http1
