// SPDX-License-Identifier: Apache-2.0
#include "http/http1/chunked.h"

#include <algorithm>

#include "http/http1/bytes.h"

namespace tidegate::http::http1 {
namespace {

constexpr uint16_t kLineSize = 256;                     // of one chunk line, without CRLF
constexpr uint16_t kExtensions = 4 * 1024;              // of all extensions of one body
constexpr uint64_t kMaxSize = (uint64_t{1} << 59) - 1;  // one more digit still fits in 63 bits

bool is_quoted_text(char c) {
  return !is_control(c);
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view bytes) {
  for (size_t at = 0; at < bytes.size();) {
    if (state_ == State::Data) {
      const std::string_view data = bytes.substr(at, std::min<uint64_t>(left_, bytes.size() - at));
      left_ -= data.size();
      if (left_ == 0) state_ = State::DataReturn;
      return {Status::More, at + data.size(), data};
    }
    if (!take(bytes[at++])) return {Status::Bad, at, {}};
    if (state_ == State::Trailers) return {Status::Trailers, at, {}};
  }
  return {Status::More, bytes.size(), {}};
}

bool ChunkedDecoder::take(char c) {
  switch (state_) {
    case State::SizeStart:
    case State::Size:
      return take_size(c);
    case State::LineFeed:
      state_ = left_ == 0 ? State::Trailers : State::Data;
      return c == '\n';
    case State::DataReturn:
      state_ = State::DataLineFeed;
      return c == '\r';
    case State::DataLineFeed:
      state_ = State::SizeStart;
      return c == '\n';
    default:
      return take_extension(c);
  }
}

bool ChunkedDecoder::take_size(char c) {
  const uint8_t digit = kHexDigits[static_cast<uint8_t>(c)];
  if (digit != 0xff) {
    if (state_ == State::SizeStart) line_size_ = 0;
    state_ = State::Size;
    if (left_ > kMaxSize) return false;
    left_ = left_ * 16 + digit;
    return ++line_size_ <= kLineSize;
  }
  if (state_ == State::SizeStart) return false;  // a size has at least one digit
  return end_of_value(c);
}

/// After a size, an extension's name or value: the next extension, or the end of the line.
bool ChunkedDecoder::end_of_value(char c) {
  if (c == '\r') {
    state_ = State::LineFeed;
    return true;
  }
  state_ = State::NameStart;
  return c == ';' && ++extensions_ <= kExtensions && ++line_size_ <= kLineSize;
}

bool ChunkedDecoder::take_extension(char c) {
  if (state_ == State::QuotedEnd) return end_of_value(c);
  const bool token = is_token_byte(c);
  if (!token && state_ == State::Name && c != '=') return end_of_value(c);
  if (!token && state_ == State::Value) return end_of_value(c);
  if (++line_size_ > kLineSize || ++extensions_ > kExtensions) return false;
  switch (state_) {
    case State::NameStart:
      state_ = State::Name;
      return token;
    case State::Name:
      if (c == '=') state_ = State::ValueStart;
      return true;
    case State::ValueStart:
      state_ = c == '"' ? State::Quoted : State::Value;
      return token || c == '"';
    case State::Value:
      return true;
    case State::Quoted:
      if (c == '"') state_ = State::QuotedEnd;
      if (c == '\\') state_ = State::QuotedPair;
      return is_quoted_text(c);
    default:  // QuotedPair
      state_ = State::Quoted;
      return is_quoted_text(c);
  }
}

}  // namespace tidegate::http::http1
