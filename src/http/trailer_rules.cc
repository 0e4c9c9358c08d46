// SPDX-License-Identifier: Apache-2.0
#include "http/trailer_rules.h"

namespace tidegate::http {
namespace {

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

bool sift_trailers(Headers& trailers) {
  bool refused = false;
  trailers.remove_if([&](const HeaderField& field) {
    refused = refused || refused_in_trailers(field.id());
    return dropped_in_trailers(field.id());
  });
  return !refused;
}

}  // namespace tidegate::http
