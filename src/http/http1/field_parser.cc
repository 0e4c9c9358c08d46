// SPDX-License-Identifier: Apache-2.0
#include "http/http1/field_parser.h"

#include <cstring>

#include "http/http1/bytes.h"

namespace tidegate::http::http1 {
namespace {

struct Name {
  char* end;        // the first byte that is no token byte
  bool underscore;  // holds '_'
};

/// Lower-cases the token at `at` in place.
inline Name lower_name(char* at) {
  uint8_t seen = 0;
  for (;; ++at) {
    const uint8_t byte = kNameBytes[static_cast<uint8_t>(*at)];
    if (byte == 0) return {at, (seen & 0x80) != 0};
    seen |= byte;
    *at = static_cast<char>(byte & 0x7f);
  }
}

bool refused_in_trailers(HeaderId id) {
  switch (id) {
    case HeaderId::ContentLength:
    case HeaderId::TransferEncoding:
    case HeaderId::Host:
      return true;
    default:
      return false;
  }
}

bool dropped_in_trailers(HeaderId id) {
  switch (id) {
    case HeaderId::Authorization:
    case HeaderId::CacheControl:
    case HeaderId::Connection:
    case HeaderId::ContentEncoding:
    case HeaderId::ContentType:
    case HeaderId::Cookie:
    case HeaderId::Expect:
    case HeaderId::Forwarded:
    case HeaderId::Http2Settings:
    case HeaderId::IfMatch:
    case HeaderId::IfModifiedSince:
    case HeaderId::IfNoneMatch:
    case HeaderId::KeepAlive:
    case HeaderId::Location:
    case HeaderId::Origin:
    case HeaderId::ProxyAuthenticate:
    case HeaderId::ProxyAuthorization:
    case HeaderId::ProxyConnection:
    case HeaderId::Range:
    case HeaderId::RetryAfter:
    case HeaderId::SetCookie:
    case HeaderId::Te:
    case HeaderId::Trailer:
    case HeaderId::Upgrade:
    case HeaderId::Vary:
    case HeaderId::WwwAuthenticate:
    case HeaderId::XForwardedFor:
    case HeaderId::XForwardedHost:
    case HeaderId::XForwardedPort:
    case HeaderId::XForwardedProto:
    case HeaderId::XRealIp:
      return true;
    default:
      return false;
  }
}

}  // namespace

HeadBlock copy_block(Arena& arena, std::string_view block) {
  char* begin = arena.chars(block.size() + kScanSlack);
  std::memcpy(begin, block.data(), block.size());
  std::memset(begin + block.size(), 0, kScanSlack);
  return {begin, begin + block.size()};
}

bool parse_fields(HeadBlock fields, uint32_t lines, FieldFilter filter, Headers& to) {
  to.reserve(lines);
  char* at = fields.begin;
  while (fields.end - at > 2) {
    char* const name = at;
    const Name parsed = lower_name(name);
    at = parsed.end;
    if (at == name || *at != ':') return false;
    const std::string_view name_text(name, static_cast<size_t>(at - name));
    do ++at;
    while (is_blank(*at));
    char* const value = at;
    at = find_value_end(value);
    if (at[0] != '\r' || at[1] != '\n') return false;
    const char* value_end = at;
    while (value_end != value && is_blank(value_end[-1])) --value_end;
    at += 2;
    if (parsed.underscore && filter == FieldFilter::DropUnderscores) continue;
    to.add(header_id(name_text), name_text, {value, static_cast<size_t>(value_end - value)});
  }
  return true;
}

bool parse_trailers(std::string_view block, uint32_t lines, FieldFilter filter, Headers& to) {
  if (lines == 0) return true;
  if (!parse_fields(copy_block(to.arena(), block), lines, filter, to)) return false;
  bool refused = false;
  to.remove_if([&](const HeaderField& field) {
    refused = refused || refused_in_trailers(field.id());
    return dropped_in_trailers(field.id());
  });
  return !refused;
}

}  // namespace tidegate::http::http1
