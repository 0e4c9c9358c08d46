// SPDX-License-Identifier: Apache-2.0
// The rules of RFC 9113 8 for heads and trailers: what a header block must be to become a neutral
// head. Stricter than the RFC where the same message over HTTP/1 would be refused, since it may go
// on to an HTTP/1 peer.
#pragma once
#include "base/error.h"
#include "http/codec.h"
#include "http/http2/field_block.h"
#include "http/message.h"
#include "http/trailer_rules.h"

namespace tidegate::http::http2 {

/// Fills `head`; texts are copied into its arena. `end`: no body follows. Extended CONNECT
/// (RFC 8441) becomes a GET with `upgrade`, as it would look on HTTP/1. On an error the head holds
/// what had been read until then.
ErrorCode read_request(const FieldBlock& block, const Limits& limits, bool end, RequestHead& head);

/// What the request was, as far as its response depends on it.
struct ResponseTo {
  bool head;    // HEAD
  bool tunnel;  // extended CONNECT: a 2xx becomes a 101
};
ErrorCode read_response(const FieldBlock& block, const Limits& limits, ResponseTo to, bool end,
                        ResponseHead& head);

/// Sifted (trailer_rules.h). False: malformed.
bool read_trailers(const FieldBlock& block, const Limits& limits, TrailersOf message, Headers& to);

}  // namespace tidegate::http::http2
