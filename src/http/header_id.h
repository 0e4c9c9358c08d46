// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

namespace tidegate::http {

/// Field names that the proxy itself looks at, so that it compares a number and not a text. At most
/// 63, since Headers keeps a bit for each.
enum class HeaderId : uint8_t {
  Other,  // any other name
  Accept,
  AcceptEncoding,
  Age,
  AltSvc,
  Authorization,
  CacheControl,
  Connection,
  ContentEncoding,
  ContentLength,
  ContentType,
  Cookie,
  Date,
  EarlyData,
  ETag,
  Expect,
  Forwarded,
  GrpcStatus,
  GrpcTimeout,
  Host,
  Http2Settings,
  IfMatch,
  IfModifiedSince,
  IfNoneMatch,
  KeepAlive,
  LastModified,
  Location,
  Origin,
  ProxyAuthenticate,
  ProxyAuthenticationInfo,
  ProxyAuthorization,
  ProxyConnection,
  Range,
  Referer,
  RetryAfter,
  SecWebSocketAccept,
  SecWebSocketKey,
  SecWebSocketProtocol,
  SecWebSocketVersion,
  Server,
  SetCookie,
  StrictTransportSecurity,
  Te,
  Traceparent,
  Tracestate,
  Trailer,
  TransferEncoding,
  Upgrade,
  UserAgent,
  Vary,
  Via,
  WwwAuthenticate,
  XForwardedFor,
  XForwardedHost,
  XForwardedPort,
  XForwardedProto,
  XRealIp,
  XRequestId,
  Count_
};

/// REQUIRES: `name` is lower case.
HeaderId header_id(std::string_view name);
/// Lower-case name; empty for Other.
std::string_view name_of(HeaderId id);

}  // namespace tidegate::http
