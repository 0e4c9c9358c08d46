// SPDX-License-Identifier: Apache-2.0
#include "http/http2/field_block.h"

namespace tidegate::http::http2 {
namespace {

constexpr size_t kFieldExtra = 4;  // what HTTP/1 would put around a field
constexpr size_t kFirstFields = 32;
constexpr size_t kPseudoFields = 5;

}  // namespace

void FieldBlock::add(nghttp2_rcbuf* name, nghttp2_rcbuf* value, const Limits& limits) {
  if (too_large_) {
    ++dropped_;
    return;
  }
  const Field field{name, value};
  const std::string_view name_text = field.name();
  // The target has a limit of its own, with an error of its own.
  const bool target = !has_target_ && name_text == ":path";
  has_target_ |= target;
  if (!target) bytes_ += name_text.size() + field.value().size() + kFieldExtra;
  if (bytes_ > limits.header_bytes || fields_.size() >= limits.header_count + kPseudoFields) {
    too_large_ = true;
    return;
  }
  if (fields_.capacity() == 0) fields_.reserve(kFirstFields);
  nghttp2_rcbuf_incref(name);
  nghttp2_rcbuf_incref(value);
  fields_.push_back(field);
}

void FieldBlock::clear() {
  for (const Field& field : fields_) {
    nghttp2_rcbuf_decref(field.name_buffer);
    nghttp2_rcbuf_decref(field.value_buffer);
  }
  fields_.clear();
  bytes_ = dropped_ = 0;
  has_target_ = too_large_ = false;
}

void FieldBlock::release() {
  clear();
  fields_ = {};
}

}  // namespace tidegate::http::http2
