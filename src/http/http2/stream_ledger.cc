// SPDX-License-Identifier: Apache-2.0
#include "http/http2/stream_ledger.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>

namespace tidegate::http::http2 {
namespace {

constexpr size_t kPreface = 24;
// Streams that the proxy has reset and the peer will never end, beside those that are open.
constexpr size_t kReset = 64;
// Few clients leave numbers out; of one that does so often, only the code of its error is at stake.
constexpr size_t kMostGaps = 16;

}  // namespace

StreamLedger::StreamLedger(Of peer, size_t streams)
    : skip_(peer == Of::Client ? kPreface : 0), peer_(peer), most_open_(streams + kReset) {}

StreamLedger::Breach StreamLedger::read(std::string_view bytes) {
  size_t at = 0;
  while (true) {
    const size_t skipped = std::min(skip_, bytes.size() - at);
    skip_ -= skipped;
    at += skipped;
    if (skip_ > 0) return {};
    const size_t begin = at;
    const size_t count = std::min(kHeader - header_size_, bytes.size() - at);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count,
                header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
    header_size_ += count;
    at += count;
    if (header_size_ < kHeader) return {};
    header_size_ = 0;
    const auto& h = header_;
    skip_ = size_t{h[0]} << 16 | size_t{h[1]} << 8 | h[2];
    const uint32_t stream =
        (uint32_t{h[5]} << 24 | uint32_t{h[6]} << 16 | uint32_t{h[7]} << 8 | h[8]);
    const uint32_t code = on_frame(h[3], h[4], stream & 0x7fffffff);
    if (code != NGHTTP2_NO_ERROR) return {begin, code};
  }
}

/// The error that the frame is, as far as it is one that nghttp2 does not see.
uint32_t StreamLedger::on_frame(uint8_t type, uint8_t flags, uint32_t stream) {
  const bool ends_block = (flags & NGHTTP2_FLAG_END_HEADERS) != 0;
  if (in_block_) {
    in_block_ = type != NGHTTP2_CONTINUATION || !ends_block;
    return NGHTTP2_NO_ERROR;
  }
  if (stream % 2 == 0) return NGHTTP2_NO_ERROR;
  const bool end = (flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (type) {
    case NGHTTP2_HEADERS:
      in_block_ = !ends_block;
      if (stream > last_ && peer_ == Of::Client) {
        begin(stream, end);
        return NGHTTP2_NO_ERROR;
      }
      return go_on(stream, end);
    case NGHTTP2_DATA:
      return go_on(stream, end);
    case NGHTTP2_RST_STREAM:
      // On a stream that is over it may have crossed the proxy's last frame.
      go_on(stream, true);
      return NGHTTP2_NO_ERROR;
    default:
      return NGHTTP2_NO_ERROR;
  }
}

uint32_t StreamLedger::go_on(uint32_t stream, bool end) {
  if (stream > last_) return NGHTTP2_NO_ERROR;  // idle, which nghttp2 knows itself
  const auto at = std::lower_bound(open_.begin(), open_.end(), stream);
  if (at != open_.end() && *at == stream) {
    if (end) open_.erase(at);
    return NGHTTP2_NO_ERROR;
  }
  if (stream <= forgotten_) return NGHTTP2_NO_ERROR;
  return passed_over(stream) ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED;
}

/// The first use of a number closes all lower ones that were idle (RFC 9113 5.1.1).
void StreamLedger::begin(uint32_t stream, bool end) {
  const uint32_t next = last_ == 0 ? 1 : last_ + 2;
  if (stream > next) {
    if (gaps_.size() == kMostGaps) gaps_.erase(gaps_.begin());
    gaps_.emplace_back(next, stream - 2);
  }
  last_ = stream;
  if (end) return;
  if (open_.size() == most_open_) {
    forgotten_ = open_.front();
    open_.erase(open_.begin());
  }
  open_.push_back(stream);
}

bool StreamLedger::passed_over(uint32_t stream) const {
  return std::ranges::any_of(
      gaps_, [stream](const auto& gap) { return gap.first <= stream && stream <= gap.second; });
}

}  // namespace tidegate::http::http2
