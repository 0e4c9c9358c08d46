// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <string_view>
#include <vector>

#include "http/codec.h"

namespace tidegate::http::http2 {

/// The header block that a session is receiving, field by field. What the limits do not allow is
/// counted and not held, so that a small block can not unfold into much memory (RFC 9113 10.5.1).
/// Cookies, which may come in crumbs (RFC 9113 8.2.3), count as one field; what bounds their number
/// is that each after the first counts as 32 bytes more than its texts (RFC 9113 6.5.2). Texts are
/// nghttp2's own, referenced until `clear`.
class FieldBlock {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
    nghttp2_rcbuf* name_buffer;
    nghttp2_rcbuf* value_buffer;
  };

  FieldBlock() = default;
  FieldBlock(const FieldBlock&) = delete;
  FieldBlock& operator=(const FieldBlock&) = delete;
  ~FieldBlock() { clear(); }

  void add(nghttp2_rcbuf* name, nghttp2_rcbuf* value, const Limits& limits);
  /// Keeps the memory that usual blocks need.
  void clear();
  /// Gives the memory back as well.
  void release();

  const Field* begin() const { return fields_.data(); }
  const Field* end() const { return fields_.data() + fields_.size(); }
  size_t size() const { return fields_.size(); }
  /// Fields of the name cookie among them.
  size_t cookies() const { return cookies_; }
  /// Limits::header_bytes or header_count were passed.
  bool too_large() const { return too_large_; }
  /// Fields that came after that.
  size_t dropped() const { return dropped_; }

 private:
  std::vector<Field> fields_;
  size_t bytes_ = 0;
  size_t dropped_ = 0;
  size_t cookies_ = 0;
  bool has_target_ = false;
  bool too_large_ = false;
};

}  // namespace tidegate::http::http2
