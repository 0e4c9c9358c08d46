// SPDX-License-Identifier: Apache-2.0
#include "http/http1/request_parser.h"

#include <cstring>

#include "http/authority.h"
#include "http/http1/bytes.h"
#include "http/http1/field_parser.h"
#include "http/http1/framing.h"
#include "http/http1/scan.h"
#include "http/http1/target.h"
#include "http/upgrade.h"

namespace tidegate::http::http1 {
namespace {

constexpr ptrdiff_t kMethodSize = 32;
constexpr ptrdiff_t kVersionSize = 8;  // "HTTP/1.1"

/// HTTP-version CRLF at `at`; the slack behind the head makes the fixed-size reads safe.
ErrorCode parse_version(const char* at, Version& version) {
  if (std::memcmp(at + kVersionSize, "\r\n", 2) != 0) return ErrorCode::BadRequest;
  if (std::memcmp(at, "HTTP/1.1", kVersionSize) == 0) {
    version = Version::Http11;
    return ErrorCode::None;
  }
  if (std::memcmp(at, "HTTP/1.0", kVersionSize) == 0) {
    version = Version::Http10;
    return ErrorCode::None;
  }
  const bool well_formed =
      std::memcmp(at, "HTTP/", 5) == 0 && is_digit(at[5]) && at[6] == '.' && is_digit(at[7]);
  if (!well_formed) return ErrorCode::BadRequest;
  if (at[5] != '1') return ErrorCode::VersionUnsupported;
  // A higher minor version is HTTP/1.1 and more (RFC 9110 2.5).
  version = Version::Http11;
  return ErrorCode::None;
}

/// method SP request-target SP HTTP-version CRLF, with exactly these spaces (RFC 9112 3). `at`
/// moves to the first field.
ErrorCode parse_request_line(char*& at, RequestHead& head) {
  const char* const method = at;
  while (is_token_byte(*at)) ++at;
  const ptrdiff_t method_size = at - method;
  if (method_size == 0 || method_size > kMethodSize || *at != ' ') return ErrorCode::BadRequest;
  head.method_name = {method, static_cast<size_t>(method_size)};
  head.method = method_of(head.method_name);
  const char* const target = ++at;
  const char* const target_end = find_target_end(target, ' ');
  if (target_end == target || *target_end != ' ') return ErrorCode::BadRequest;
  head.target = {target, static_cast<size_t>(target_end - target)};
  at += (target_end - target) + 1;
  const ErrorCode error = parse_version(at, head.version);
  at += kVersionSize + 2;
  return error;
}

/// RFC 9112 3.2: one valid Host, which a target in absolute form overrules.
bool settle_host(RequestHead& head) {
  if (!head.headers.has(HeaderId::Host)) {
    if (head.version != Version::Http10) return false;
  } else {
    if (head.headers.count(HeaderId::Host) != 1) return false;
    if (!is_authority(head.headers.get(HeaderId::Host))) return false;
  }
  if (head.authority.empty()) {
    head.authority = head.headers.get(HeaderId::Host);
  } else {
    head.headers.set(HeaderId::Host, head.authority);
  }
  return true;
}

ErrorCode settle_body(RequestHead& head) {
  const FieldFraming framing = field_framing(head.headers, head.version);
  switch (framing.kind) {
    case FieldFraming::Kind::Absent:
      return ErrorCode::None;
    case FieldFraming::Kind::Length:
      head.body = BodyKind::Sized;
      head.content_length = framing.length;
      return ErrorCode::None;
    case FieldFraming::Kind::Chunked:
      head.body = BodyKind::Streamed;
      return ErrorCode::None;
    case FieldFraming::Kind::Unsupported:
      return ErrorCode::TransferCodingUnsupported;
    case FieldFraming::Kind::Ambiguous:
      break;
  }
  return ErrorCode::BadRequest;
}

bool has_body(const RequestHead& head) {
  return head.body == BodyKind::Streamed ||
         (head.body == BodyKind::Sized && head.content_length > 0);
}

/// False: an expectation that is not known (RFC 9110 10.1.1). One that came without a body to wait
/// for, or from an HTTP/1.0 client, is none.
bool settle_expectation(RequestHead& head) {
  if (!head.headers.has(HeaderId::Expect)) return true;
  for (const HeaderField& field : head.headers) {
    if (field.id() != HeaderId::Expect) continue;
    if (!equals_ignoring_case(field.value(), "100-continue")) return false;
  }
  head.expects_continue = head.version == Version::Http11 && has_body(head);
  return true;
}

/// One protocol, named once. Another is declined by going on without it (RFC 9110 7.8).
std::string_view asked_upgrade(const RequestHead& head) {
  if (head.version != Version::Http11) return {};
  if (head.headers.count(HeaderId::Upgrade) != 1) return {};
  const std::string_view protocol = head.headers.get(HeaderId::Upgrade);
  if (protocol.empty() || !may_tunnel(protocol)) return {};
  for (const char c : protocol) {
    if (!is_token_byte(c) && c != '/') return {};
  }
  return protocol;
}

}  // namespace

ParsedRequest parse_request_head(std::string_view block, uint32_t lines, const Limits& limits,
                                 RequestHead& head) {
  const HeadBlock copy = copy_block(head.headers.arena(), block);
  char* at = copy.begin;
  const ErrorCode error = parse_request_line(at, head);
  if (error != ErrorCode::None) return {error};
  const FieldFilter filter = limits.underscores ? FieldFilter::Keep : FieldFilter::DropUnderscores;
  if (!parse_target(head) || !parse_fields({at, copy.end}, lines, filter, head.headers) ||
      !settle_host(head)) {
    return {ErrorCode::BadRequest};
  }
  if (const ErrorCode framing = settle_body(head); framing != ErrorCode::None) return {framing};
  if (!settle_expectation(head)) return {ErrorCode::ExpectationFailed};
  const ConnectionOptions options = connection_options(head.headers);
  if (options.upgrade) head.upgrade = asked_upgrade(head);
  return {ErrorCode::None, options.persists(head.version)};
}

}  // namespace tidegate::http::http1
