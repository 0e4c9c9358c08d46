// SPDX-License-Identifier: Apache-2.0
#include "http/http1/framing.h"

#include "base/strings.h"
#include "http/http1/bytes.h"

namespace tidegate::http::http1 {
namespace {

void add_option(std::string_view option, ConnectionOptions& to) {
  if (equals_ignoring_case(option, "close")) to.close = true;
  if (equals_ignoring_case(option, "keep-alive")) to.keep_alive = true;
  if (equals_ignoring_case(option, "upgrade")) to.upgrade = true;
}

void add_options(std::string_view list, ConnectionOptions& to) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view option = list.substr(0, comma);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    while (!option.empty() && is_blank(option.front())) option.remove_prefix(1);
    while (!option.empty() && is_blank(option.back())) option.remove_suffix(1);
    add_option(option, to);
  }
}

/// Returns true if Transfer-Encoding lists further codings before `chunked`, which the
/// proxy cannot decode.
bool is_coded_and_chunked(const Headers& headers) {
  size_t codings = 0;
  size_t chunked = 0;
  bool sound = true;
  bool last_chunked = false;
  for (const HeaderField& field : headers) {
    if (field.id() != HeaderId::TransferEncoding) continue;
    sound = sound && for_each_element(field.value(), [&](std::string_view coding) {
              last_chunked = equals_ignoring_case(coding, "chunked");
              chunked += last_chunked ? 1 : 0;
              ++codings;
              return is_token(trim(coding.substr(0, coding.find(';'))));
            });
  }
  return sound && last_chunked && chunked == 1 && codings > 1;
}

}  // namespace

bool parse_content_length(std::string_view text, uint64_t& length) {
  constexpr size_t kDigits = 18;  // of which any number is below 2^63
  if (text.empty() || text.size() > kDigits) return false;
  length = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

FieldFraming field_framing(const Headers& headers, Version version) {
  using Kind = FieldFraming::Kind;
  const bool encoded = headers.has(HeaderId::TransferEncoding);
  const bool sized = headers.has(HeaderId::ContentLength);
  if (!encoded && !sized) return {};
  if (encoded) {
    // Only `chunked`, alone and once, says where a body ends without doubt; and an HTTP/1.0 peer
    // may not know it at all (RFC 9112 6.1).
    if (sized || version != Version::Http11) return {Kind::Ambiguous, 0};
    const bool plain = headers.count(HeaderId::TransferEncoding) == 1 &&
                       equals_ignoring_case(headers.get(HeaderId::TransferEncoding), "chunked");
    if (plain) return {Kind::Chunked, 0};
    return {is_coded_and_chunked(headers) ? Kind::Unsupported : Kind::Ambiguous, 0};
  }
  FieldFraming framing{Kind::Length, 0};
  if (headers.count(HeaderId::ContentLength) != 1 ||
      !parse_content_length(headers.get(HeaderId::ContentLength), framing.length)) {
    framing.kind = Kind::Ambiguous;
  }
  return framing;
}

ConnectionOptions connection_options(const Headers& headers) {
  ConnectionOptions options;
  if (!headers.has(HeaderId::Connection)) return options;
  for (const HeaderField& field : headers) {
    if (field.id() == HeaderId::Connection) add_options(field.value(), options);
  }
  return options;
}

}  // namespace tidegate::http::http1
