// SPDX-License-Identifier: Apache-2.0
#include "http/http1/head_scan.h"

#include "http/http1/scan.h"

namespace tidegate::http::http1 {
namespace {

constexpr size_t kLineEnd = 2;  // CRLF

}  // namespace

HeadStatus HeadScan::check(size_t total, const Limits& limits) const {
  if (in_first_line_) {
    return total > limits.request_line + kLineEnd ? HeadStatus::LineTooLong : HeadStatus::More;
  }
  // The empty line at the end does not count.
  return total - fields_start_ > limits.header_bytes + kLineEnd ? HeadStatus::FieldsTooLarge
                                                                : HeadStatus::More;
}

/// A line that ends in CRLF stands in [line_start_, end) of the head.
HeadStatus HeadScan::end_line(size_t end, const Limits& limits) {
  const bool empty = end - line_start_ == kLineEnd;
  line_start_ = end;
  if (in_first_line_) {
    in_first_line_ = false;
    fields_start_ = end;
    return empty ? HeadStatus::Malformed : HeadStatus::More;
  }
  if (empty) return HeadStatus::Complete;
  return ++lines_ > limits.header_count ? HeadStatus::FieldsTooLarge : HeadStatus::More;
}

HeadScan::Progress HeadScan::advance(std::string_view bytes, const Limits& limits) {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  for (const char* at = begin;; ++at) {
    at = find_line_feed(at, end);
    if (at == end) break;
    const auto taken = static_cast<size_t>(at - begin) + 1;
    // Limits come first, since a piece that ends before this line feed would have met them already.
    HeadStatus status = check(total_ + taken, limits);
    if (status != HeadStatus::More) return {status, taken};
    if ((at == begin ? last_ : at[-1]) != '\r') return {HeadStatus::Malformed, taken};
    status = end_line(total_ + taken, limits);
    if (status != HeadStatus::More) return {status, taken};
  }
  total_ += bytes.size();
  if (!bytes.empty()) last_ = bytes.back();
  return {check(total_, limits), bytes.size()};
}

}  // namespace tidegate::http::http1
