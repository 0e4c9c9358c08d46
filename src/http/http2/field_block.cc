// SPDX-License-Identifier: Apache-2.0
#include "http/http2/field_block.h"

namespace tidegate::http::http2 {
namespace {

constexpr size_t kFieldExtra = 4;   // what HTTP/1 would put around a field
constexpr size_t kCrumbExtra = 32;  // what RFC 9113 6.5.2 puts on a field, which crumbs pay in full
constexpr size_t kFirstFields = 16;
constexpr size_t kKeptFields = 128;  // room for these is kept from one block to the next
constexpr size_t kPseudoFields = 5;
constexpr std::string_view kCookie = "cookie";

std::string_view text(nghttp2_rcbuf* buffer) {
  const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(bytes.base), bytes.len};
}

}  // namespace

void FieldBlock::add(nghttp2_rcbuf* name, nghttp2_rcbuf* value, const Limits& limits) {
  if (too_large_) {
    ++dropped_;
    return;
  }
  const Field field{text(name), text(value), name, value};
  // The target has a limit of its own, with an error of its own.
  const bool target = !has_target_ && field.name == ":path";
  has_target_ |= target;
  const bool crumb = cookies_ > 0 && field.name == kCookie;
  const size_t extra = crumb ? kCrumbExtra : kFieldExtra;
  if (!target) bytes_ += field.name.size() + field.value.size() + extra;
  const size_t counted = fields_.size() - (cookies_ > 1 ? cookies_ - 1 : 0);
  const bool too_many = !crumb && counted >= limits.header_count + kPseudoFields;
  if (bytes_ > limits.header_bytes || too_many) {
    too_large_ = true;
    return;
  }
  if (fields_.capacity() == 0) fields_.reserve(kFirstFields);
  if (field.name == kCookie) ++cookies_;
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
  // The connection does not keep the memory of an unusually large block.
  if (fields_.capacity() > kKeptFields) fields_ = std::vector<Field>();
  bytes_ = dropped_ = cookies_ = 0;
  has_target_ = too_large_ = false;
}

void FieldBlock::release() {
  clear();
  fields_ = std::vector<Field>();  // `= {}` would keep the memory
}

}  // namespace tidegate::http::http2
