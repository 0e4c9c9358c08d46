// SPDX-License-Identifier: Apache-2.0
// One table of the field names that have an id, with the properties of each. Every rule about
// certain names (hop-by-hop, forwarding, trailers) reads it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/headers.h"

namespace tidegate::http {

/// The properties of a name, as bits.
using HeaderTraits = uint8_t;
/// Describes the connection that it came by. HTTP/2 has no place for it (RFC 9113 8.2.2).
inline constexpr HeaderTraits kOneConnection = 1;
/// Removed from each message that is forwarded (RFC 9110 7.6.1), with the exceptions in
/// hop_by_hop.h.
inline constexpr HeaderTraits kHopByHop = 2;
/// Tells where a message ends or whom it is for, so a trailer of that name makes a request
/// malformed.
inline constexpr HeaderTraits kFraming = 4;
/// Tells the origin who the client is. Only a trusted proxy may say so.
inline constexpr HeaderTraits kClaim = 8;
/// The proxy vouches for it: a Connection field that names it is refused.
inline constexpr HeaderTraits kProtected = 16;
/// Has a meaning in a head only: framing, routing, authentication, request modifiers, response
/// control, content format (RFC 9110 6.5.1), and what the proxy tells the origin. A trailer of that
/// name is dropped.
inline constexpr HeaderTraits kHeadOnly = 32;

struct KnownHeader {
  HeaderId id;
  std::string_view name;
  HeaderTraits traits;
};

/// In the order of the enumerators.
inline constexpr std::array<KnownHeader, static_cast<size_t>(HeaderId::Count_)> kKnownHeaders{{
    {HeaderId::Other, "", 0},
    {HeaderId::Accept, "accept", kHeadOnly},
    {HeaderId::AcceptEncoding, "accept-encoding", kHeadOnly},
    {HeaderId::Age, "age", kHeadOnly},
    {HeaderId::AltSvc, "alt-svc", kHeadOnly},
    {HeaderId::Authorization, "authorization", kHeadOnly},
    {HeaderId::CacheControl, "cache-control", kHeadOnly},
    {HeaderId::Connection, "connection", kOneConnection | kHopByHop | kHeadOnly},
    {HeaderId::ContentEncoding, "content-encoding", kHeadOnly},
    {HeaderId::ContentLength, "content-length", kFraming | kProtected | kHeadOnly},
    {HeaderId::ContentType, "content-type", kHeadOnly},
    {HeaderId::Cookie, "cookie", kHeadOnly},
    {HeaderId::Date, "date", kHeadOnly},
    {HeaderId::EarlyData, "early-data", kHeadOnly},
    {HeaderId::ETag, "etag", 0},
    {HeaderId::Expect, "expect", kHeadOnly},
    {HeaderId::Forwarded, "forwarded", kClaim | kProtected | kHeadOnly},
    {HeaderId::GrpcStatus, "grpc-status", 0},
    {HeaderId::GrpcTimeout, "grpc-timeout", kHeadOnly},
    {HeaderId::Host, "host", kFraming | kProtected | kHeadOnly},
    {HeaderId::Http2Settings, "http2-settings", kHopByHop | kHeadOnly},
    {HeaderId::IfMatch, "if-match", kHeadOnly},
    {HeaderId::IfModifiedSince, "if-modified-since", kHeadOnly},
    {HeaderId::IfNoneMatch, "if-none-match", kHeadOnly},
    {HeaderId::KeepAlive, "keep-alive", kOneConnection | kHopByHop | kHeadOnly},
    {HeaderId::LastModified, "last-modified", 0},
    {HeaderId::Location, "location", kHeadOnly},
    {HeaderId::Origin, "origin", kHeadOnly},
    {HeaderId::ProxyAuthenticate, "proxy-authenticate", kHopByHop | kHeadOnly},
    {HeaderId::ProxyAuthenticationInfo, "proxy-authentication-info", kHopByHop | kHeadOnly},
    {HeaderId::ProxyAuthorization, "proxy-authorization", kHopByHop | kHeadOnly},
    {HeaderId::ProxyConnection, "proxy-connection", kOneConnection | kHopByHop | kHeadOnly},
    {HeaderId::Range, "range", kHeadOnly},
    {HeaderId::Referer, "referer", kHeadOnly},
    {HeaderId::RetryAfter, "retry-after", kHeadOnly},
    {HeaderId::SecWebSocketAccept, "sec-websocket-accept", kHeadOnly},
    {HeaderId::SecWebSocketKey, "sec-websocket-key", kHeadOnly},
    {HeaderId::SecWebSocketProtocol, "sec-websocket-protocol", kHeadOnly},
    {HeaderId::SecWebSocketVersion, "sec-websocket-version", kHeadOnly},
    {HeaderId::Server, "server", 0},
    {HeaderId::SetCookie, "set-cookie", kHeadOnly},
    {HeaderId::StrictTransportSecurity, "strict-transport-security", kHeadOnly},
    {HeaderId::Te, "te", kHopByHop | kHeadOnly},
    {HeaderId::Traceparent, "traceparent", kHeadOnly},
    {HeaderId::Tracestate, "tracestate", kHeadOnly},
    {HeaderId::Trailer, "trailer", kHopByHop | kHeadOnly},
    {HeaderId::TransferEncoding, "transfer-encoding",
     kOneConnection | kHopByHop | kFraming | kHeadOnly},
    {HeaderId::Upgrade, "upgrade", kOneConnection | kHopByHop | kHeadOnly},
    {HeaderId::UserAgent, "user-agent", kHeadOnly},
    {HeaderId::Vary, "vary", kHeadOnly},
    {HeaderId::Via, "via", kHeadOnly},
    {HeaderId::WwwAuthenticate, "www-authenticate", kHeadOnly},
    {HeaderId::XForwardedFor, "x-forwarded-for", kClaim | kProtected | kHeadOnly},
    {HeaderId::XForwardedHost, "x-forwarded-host", kClaim | kProtected | kHeadOnly},
    {HeaderId::XForwardedPort, "x-forwarded-port", kClaim | kProtected | kHeadOnly},
    {HeaderId::XForwardedProto, "x-forwarded-proto", kClaim | kProtected | kHeadOnly},
    {HeaderId::XRealIp, "x-real-ip", kClaim | kProtected | kHeadOnly},
    {HeaderId::XRequestId, "x-request-id", kClaim | kProtected | kHeadOnly},
}};

/// The set of ids that have one of `traits`, for Headers::has_any and `header_bit`.
consteval uint64_t headers_with(HeaderTraits traits) {
  uint64_t ids = 0;
  for (const KnownHeader& known : kKnownHeaders) {
    if ((known.traits & traits) != 0) ids |= header_bit(known.id);
  }
  return ids;
}

/// The traits of any field. Names without an id can have kClaim, kProtected and kHeadOnly:
/// X-Forwarded-User, Content-Range, and names of the table with '_' for '-', since many origins
/// cannot tell them apart.
HeaderTraits traits_of(HeaderId id, std::string_view name);
inline HeaderTraits traits_of(const HeaderField& field) {
  return traits_of(field.id(), field.name());
}
inline HeaderTraits traits_of(std::string_view name) {
  return traits_of(header_id(name), name);
}

}  // namespace tidegate::http
