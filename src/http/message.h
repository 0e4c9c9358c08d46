// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "http/headers.h"

namespace tidegate::http {

enum class Version : uint8_t { Http10, Http11, Http2 };

enum class Method : uint8_t { Get, Head, Post, Put, Delete, Connect, Options, Trace, Patch, Other };
Method method_of(std::string_view name);  // methods are case-sensitive (RFC 9110 9.1)
bool is_idempotent(Method method);        // RFC 9110 9.2.2

/// How the end of a body is known. Codecs translate it to and from their own framing, so
/// Content-Length and Transfer-Encoding fields in `headers` are information only and never obeyed
/// when a message is sent.
enum class BodyKind : uint8_t {
  None,      // no body follows
  Sized,     // exactly `content_length` bytes
  Streamed,  // until end: chunked, HTTP/2 data, or to the close of an HTTP/1.0 connection
};

/// Head of a request, neutral as to protocol version. Texts live in the exchange's arena.
struct RequestHead {
  explicit RequestHead(Arena& arena) : headers(arena), trailers(arena) {}

  Method method = Method::Other;
  Version version = Version::Http11;
  BodyKind body = BodyKind::None;
  bool expects_continue = false;
  bool has_query = false;
  bool drops_trailers = false;  // those that still come are of a body that was replaced
  uint64_t content_length = 0;  // when Sized
  std::string_view method_name;
  std::string_view target;     // request target as received
  std::string_view scheme;     // "http" or "https": as the client used it
  std::string_view authority;  // host[:port] from an absolute target, :authority, or Host
  std::string_view path;   // starts with '/', or "*"; canonical once the exchange has normalised it
  std::string_view query;  // without '?'
  std::string_view upgrade;  // the protocol asked for by a well-formed Upgrade, or empty
  std::span<const std::string_view>
      nominated;  // by Connection; trailers of these names stay behind too
  Headers headers;
  Headers trailers;  // filled when the body has ended
};

/// Head of a response, interim (1xx) or final.
struct ResponseHead {
  explicit ResponseHead(Arena& arena) : headers(arena), trailers(arena) {}

  uint16_t status = 0;
  Version version = Version::Http11;
  BodyKind body = BodyKind::None;
  bool connected = false;  // a 2xx that opens the tunnel a CONNECT asked for
  uint64_t content_length =
      0;  // when Sized; for HEAD and 304 what the field said, if it is in `headers`
  std::string_view reason;                      // HTTP/1 only; empty: the registered phrase
  std::span<const std::string_view> nominated;  // as in RequestHead
  Headers headers;
  Headers trailers;

  /// What follows are the bytes of a tunnel, both ways.
  bool opens_tunnel() const { return status == 101 || connected; }
};

/// Registered reason phrase, or empty.
std::string_view reason_phrase(unsigned status);

}  // namespace tidegate::http
