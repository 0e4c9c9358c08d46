// SPDX-License-Identifier: Apache-2.0
// Where a body ends, and whether the connection goes on after it (RFC 9112 6 and 9).
#pragma once
#include <cstdint>
#include <string_view>

#include "http/message.h"

namespace tidegate::http::http1 {

/// What the fields of a head say of its body. Anything that two readers might take differently is
/// Ambiguous, and the message is refused. So is Unsupported: a well-formed list of transfer codings
/// that ends with `chunked` and has others before it (RFC 9112 6.1).
struct FieldFraming {
  enum class Kind : uint8_t { Absent, Length, Chunked, Unsupported, Ambiguous };
  Kind kind = Kind::Absent;
  uint64_t length = 0;
};
FieldFraming field_framing(const Headers& headers, Version version);

/// Digits only, below 2^63 (RFC 9110 8.6). False: not so.
bool parse_content_length(std::string_view text, uint64_t& length);

/// What the Connection fields name.
struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;

  /// The peer keeps the connection open after this message (RFC 9112 9.3).
  bool persists(Version version) const {
    return !close && (version == Version::Http11 || keep_alive);
  }
};
ConnectionOptions connection_options(const Headers& headers);

}  // namespace tidegate::http::http1
