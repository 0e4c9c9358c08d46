// SPDX-License-Identifier: Apache-2.0
#include "http/http2/head_reader.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "http/authority.h"
#include "http/header_table.h"
#include "http/http2/field_rules.h"
#include "http/upgrade.h"

namespace tidegate::http::http2 {
namespace {

using Field = FieldBlock::Field;

constexpr uint64_t kConnectionFields = headers_with(kOneConnection);
constexpr uint64_t kMostLength = (uint64_t{1} << 62) - 1;
constexpr uint16_t kSwitchingProtocols = 101;
constexpr size_t kRequestLineExtra = 12;  // spaces and version of HTTP/1's request line

enum class Added : uint8_t { Fine, Malformed, TooMany };

/// Adds one field that is no pseudo-header.
Added add_field(const Field& field, const Limits& limits, Headers& to) {
  const std::string_view name = field.name;
  const std::string_view value = field.value;
  const HeaderId id = header_id(name);
  // A name that is known is well-formed.
  if (id == HeaderId::Other && !is_field_name(name)) return Added::Malformed;
  if (!is_field_value(value)) return Added::Malformed;
  if ((kConnectionFields & header_bit(id)) != 0 && id != HeaderId::Other) return Added::Malformed;
  if (id == HeaderId::Te && !iequals(value, "trailers")) return Added::Malformed;
  if (id == HeaderId::Other && !limits.underscores && has_underscore(name)) return Added::Fine;
  if (to.size() >= limits.header_count) return Added::TooMany;
  Arena& arena = to.arena();
  const std::string_view kept = id == HeaderId::Other ? arena.copy(name) : name_of(id);
  to.add(id, kept, arena.copy(value));
  return Added::Fine;
}

bool is_pseudo(const Field& field) {
  return !field.name.empty() && field.name.front() == ':';
}

/// The pseudo-headers of a request; a null view for what is not there.
struct RequestLine {
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
  std::string_view protocol;

  std::string_view* slot(std::string_view name) {
    if (name == ":method") return &method;
    if (name == ":scheme") return &scheme;
    if (name == ":authority") return &authority;
    if (name == ":path") return &path;
    if (name == ":protocol") return &protocol;
    return nullptr;
  }
};

bool has(std::string_view part) {
  return part.data() != nullptr;
}

/// Reads the pseudo-headers, which come first (RFC 9113 8.3). `at` moves behind them.
bool read_line(const FieldBlock& block, Arena& arena, const Field*& at, RequestLine& line) {
  for (; at != block.end() && is_pseudo(*at); ++at) {
    std::string_view* const slot = line.slot(at->name);
    const std::string_view value = at->value;
    if (slot == nullptr || has(*slot) || value.empty()) return false;
    *slot = arena.copy(value);
  }
  return true;
}

/// The crumbs of a cookie (RFC 9113 8.2.3), from `first` on, as the one field that it is elsewhere.
Added add_cookie(const FieldBlock& block, const Field* first, const Limits& limits, Headers& to) {
  if (to.size() >= limits.header_count) return Added::TooMany;
  size_t size = 0;
  for (const Field* at = first; at != block.end(); ++at) {
    if (at->name != name_of(HeaderId::Cookie)) continue;
    if (!is_field_value(at->value)) return Added::Malformed;
    size += at->value.size() + 2;
  }
  char* const text = to.arena().chars(size);
  char* end = text;
  for (const Field* at = first; at != block.end(); ++at) {
    if (at->name != name_of(HeaderId::Cookie)) continue;
    if (end != text) end = std::copy_n("; ", 2, end);
    end = std::copy(at->value.begin(), at->value.end(), end);
  }
  to.add(HeaderId::Cookie, name_of(HeaderId::Cookie), {text, static_cast<size_t>(end - text)});
  return Added::Fine;
}

ErrorCode read_fields(const FieldBlock& block, const Limits& limits, const Field* at, Headers& to) {
  const size_t crumbs = block.cookies() > 1 ? block.cookies() : 0;
  to.reserve(static_cast<size_t>(block.end() - at) + 1 - (crumbs == 0 ? 0 : crumbs - 1));
  bool cookie_added = false;
  for (; at != block.end(); ++at) {
    if (is_pseudo(*at)) return ErrorCode::BadRequest;
    const bool crumb = crumbs > 0 && at->name == name_of(HeaderId::Cookie);
    if (crumb && std::exchange(cookie_added, true)) continue;
    switch (crumb ? add_cookie(block, at, limits, to) : add_field(*at, limits, to)) {
      case Added::Fine:
        break;
      case Added::Malformed:
        return ErrorCode::BadRequest;
      case Added::TooMany:
        return ErrorCode::HeadersTooLarge;
    }
  }
  // More than one would be read differently by different hops.
  const bool single = to.count(HeaderId::Host) < 2 && to.count(HeaderId::ContentLength) < 2;
  return single ? ErrorCode::None : ErrorCode::BadRequest;
}

void split_path(std::string_view path, RequestHead& head) {
  head.target = path;
  const size_t mark = path.find('?');
  head.path = path.substr(0, mark);
  head.has_query = mark != std::string_view::npos;
  if (head.has_query) head.query = path.substr(mark + 1);
}

void set_method(std::string_view name, RequestHead& head) {
  head.method_name = name;
  head.method = method_of(name);
}

bool settle_scheme(std::string_view scheme, RequestHead& head) {
  if (iequals(scheme, "https")) {
    head.scheme = "https";
  } else if (iequals(scheme, "http")) {
    head.scheme = "http";
  } else {
    return false;
  }
  return true;
}

/// RFC 9113 8.3.1 and 8.5; RFC 8441 4.
bool settle_line(const RequestLine& line, RequestHead& head) {
  if (!is_method(line.method)) return false;
  set_method(line.method, head);
  if (head.method == Method::Connect && !has(line.protocol)) {
    head.target = line.authority;
    head.path = "/";
    return !has(line.scheme) && !has(line.path) && has(line.authority);
  }
  if (!has(line.scheme) || !has(line.path) || !is_target(line.path)) return false;
  split_path(line.path, head);
  if (!settle_scheme(line.scheme, head)) return false;
  if (has(line.protocol)) {
    if (head.method != Method::Connect || !has(line.authority)) return false;
    if (!is_token(line.protocol) || !may_tunnel(line.protocol)) return false;
    set_method("GET", head);
    head.upgrade = line.protocol;
  }
  return line.path.front() == '/' || (line.path == "*" && head.method == Method::Options);
}

bool has_port(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  return colon != std::string_view::npos && colon + 1 < authority.size() && authority.back() != ']';
}

/// RFC 9113 8.3.1: one authority, and a Host that says the same.
bool settle_authority(std::string_view authority, RequestHead& head) {
  Headers& headers = head.headers;
  const std::string_view host = headers.get(HeaderId::Host);
  if (!has(authority)) {
    head.authority = host;
  } else {
    if (headers.has(HeaderId::Host) && !iequals(host, authority)) return false;
    head.authority = authority;
    headers.set(HeaderId::Host, authority);
  }
  if (head.method == Method::Connect && !has_port(head.authority)) return false;
  return is_authority(head.authority);
}

/// False: a length that is none, or that promises a body which does not come.
bool settle_body(bool end, RequestHead& head) {
  const HeaderField* field = head.headers.find(HeaderId::ContentLength);
  if (field == nullptr) {
    head.body = end ? BodyKind::None : BodyKind::Streamed;
    return true;
  }
  const auto length = parse_decimal(field->value(), kMostLength);
  if (!length || (end && *length > 0)) return false;
  head.content_length = *length;
  head.body = end ? BodyKind::None : BodyKind::Sized;
  return true;
}

bool settle_expectation(RequestHead& head) {
  if (!head.headers.has(HeaderId::Expect)) return true;
  for (const HeaderField& field : head.headers) {
    if (field.id() == HeaderId::Expect && !iequals(field.value(), "100-continue")) return false;
  }
  head.expects_continue = head.body != BodyKind::None;
  return true;
}

}  // namespace

ErrorCode read_request(const FieldBlock& block, const Limits& limits, bool end, RequestHead& head) {
  head.version = Version::Http2;
  const Field* at = block.begin();
  RequestLine line;
  const bool sound = read_line(block, head.headers.arena(), at, line) && settle_line(line, head);
  const size_t line_size = line.method.size() + line.path.size() + kRequestLineExtra;
  if (line_size > limits.request_line) return ErrorCode::UriTooLong;
  if (!sound) return ErrorCode::BadRequest;
  const ErrorCode error = read_fields(block, limits, at, head.headers);
  if (error != ErrorCode::None) return error;
  if (!settle_authority(line.authority, head)) return ErrorCode::BadRequest;
  if (block.too_large()) return ErrorCode::HeadersTooLarge;
  // A CONNECT's DATA is no body, but what goes through the tunnel.
  const bool tunnel = !head.upgrade.empty() || head.method == Method::Connect;
  if (!settle_body(end || tunnel, head)) return ErrorCode::BadRequest;
  if (!settle_expectation(head)) return ErrorCode::ExpectationFailed;
  return ErrorCode::None;
}

ErrorCode read_response(const FieldBlock& block, const Limits& limits, ResponseTo to, bool end,
                        ResponseHead& head) {
  head.version = Version::Http2;
  if (block.size() == 0 || block.begin()->name != ":status") return ErrorCode::BadResponse;
  const std::string_view text = block.begin()->value;
  const auto status = parse_decimal(text, 599);
  if (text.size() != 3 || !status || *status < 100) return ErrorCode::BadResponse;
  head.status = static_cast<uint16_t>(*status);
  // RFC 9113 8.6: HTTP/2 has no 101; and an interim response ends nothing (8.1).
  const bool interim = head.status < 200;
  if (head.status == kSwitchingProtocols || (interim && end)) return ErrorCode::BadResponse;
  if (block.too_large()) return ErrorCode::ResponseHeadersTooLarge;
  const ErrorCode error = read_fields(block, limits, block.begin() + 1, head.headers);
  if (error == ErrorCode::HeadersTooLarge) return ErrorCode::ResponseHeadersTooLarge;
  if (error != ErrorCode::None) return ErrorCode::BadResponse;
  if (interim) return ErrorCode::None;
  if (to.tunnel && head.status < 300) {
    if (end) return ErrorCode::BadResponse;
    head.status = kSwitchingProtocols;
    head.headers.remove(HeaderId::ContentLength);
    return ErrorCode::None;
  }
  const HeaderField* length = head.headers.find(HeaderId::ContentLength);
  const bool bodiless = to.head || head.status == 204 || head.status == 304;
  if (length != nullptr) {
    const auto size = parse_decimal(length->value(), kMostLength);
    if (!size || (end && !bodiless && *size > 0)) return ErrorCode::BadResponse;
    head.content_length = *size;
  }
  if (!end) head.body = length != nullptr && !bodiless ? BodyKind::Sized : BodyKind::Streamed;
  return ErrorCode::None;
}

bool read_trailers(const FieldBlock& block, const Limits& limits, TrailersOf message, Headers& to) {
  if (block.too_large()) return false;
  return read_fields(block, limits, block.begin(), to) == ErrorCode::None &&
         sift_trailers(to, message);
}

}  // namespace tidegate::http::http2
