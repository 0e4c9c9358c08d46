// SPDX-License-Identifier: Apache-2.0
#include "http/http1/response_parser.h"

#include <cstring>

#include "http/http1/bytes.h"
#include "http/http1/field_parser.h"
#include "http/http1/framing.h"
#include "http/http1/scan.h"

namespace tidegate::http::http1 {
namespace {

/// HTTP-version SP status-code [SP [reason-phrase]] CRLF. The space without a reason after it is
/// required by RFC 9112 4, but many origins leave it out, and nothing hangs on it. `at` moves to
/// the first field.
bool parse_status_line(char*& at, ResponseHead& head) {
  if (std::memcmp(at, "HTTP/1.", 7) != 0 || !is_digit(at[7]) || at[8] != ' ') return false;
  // A higher minor version is HTTP/1.1 and more (RFC 9110 2.5).
  head.version = at[7] == '0' ? Version::Http10 : Version::Http11;
  at += 9;
  if (!is_digit(at[0]) || !is_digit(at[1]) || !is_digit(at[2])) return false;
  head.status = static_cast<uint16_t>((at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0'));
  at += 3;
  if (*at != ' ' && *at != '\r') return false;
  if (*at == ' ') ++at;
  char* const reason = at;
  at = find_value_end(at);
  if (at[0] != '\r' || at[1] != '\n') return false;
  head.reason = {reason, static_cast<size_t>(at - reason)};
  at += 2;
  return head.status >= 100;
}

/// 1xx and 204 end with their head, whatever they announce (RFC 9112 6.3, rule 1). A body might
/// follow all the same, so the connection is not used again unless its length is 0.
bool drop_framing(ResponseHead& head) {
  using Kind = FieldFraming::Kind;
  const FieldFraming framing = field_framing(head.headers, head.version);
  head.headers.remove(HeaderId::ContentLength);
  head.headers.remove(HeaderId::TransferEncoding);
  return framing.kind == Kind::Absent || (framing.kind == Kind::Length && framing.length == 0);
}

/// RFC 9112 6.3. False: it is in doubt where the body ends.
bool settle_body(bool to_head, ResponseHead& head, ResponseEnd& end) {
  using Kind = FieldFraming::Kind;
  const FieldFraming framing = field_framing(head.headers, head.version);
  if (framing.kind == Kind::Ambiguous || framing.kind == Kind::Unsupported) return false;
  head.content_length = framing.length;
  if (to_head || head.status == 304) return true;
  switch (framing.kind) {
    case Kind::Length:
      head.body = BodyKind::Sized;
      end = framing.length == 0 ? ResponseEnd::Head : ResponseEnd::Length;
      break;
    case Kind::Chunked:
      head.body = BodyKind::Streamed;
      end = ResponseEnd::Chunks;
      break;
    default:
      head.body = BodyKind::Streamed;
      end = ResponseEnd::Close;
      break;
  }
  return true;
}

void clear_head(ResponseHead& head) {
  head.status = 0;
  head.body = BodyKind::None;
  head.content_length = 0;
  head.reason = {};
  head.headers.clear();
  head.trailers.clear();
}

}  // namespace

ParsedResponse parse_response_head(std::string_view block, uint32_t lines, const Limits& limits,
                                   bool to_head, ResponseHead& head) {
  clear_head(head);  // an interim response may have used it before
  const HeadBlock copy = copy_block(head.headers.arena(), block);
  const FieldFilter filter = limits.underscores ? FieldFilter::Keep : FieldFilter::DropUnderscores;
  ParsedResponse parsed;
  char* at = copy.begin;
  if (!parse_status_line(at, head) || !parse_fields({at, copy.end}, lines, filter, head.headers)) {
    return parsed;
  }
  if (head.status < 200 || head.status == 204) {
    parsed.clean = drop_framing(head);
  } else if (!settle_body(to_head, head, parsed.end)) {
    return parsed;
  }
  parsed.valid = true;
  parsed.persists = parsed.clean && parsed.end != ResponseEnd::Close &&
                    connection_options(head.headers).persists(head.version);
  return parsed;
}

}  // namespace tidegate::http::http1
