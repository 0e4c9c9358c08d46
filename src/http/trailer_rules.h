// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "http/headers.h"

namespace tidegate::http {

enum class TrailersOf : uint8_t { Request, Response };

/// Drops the fields of a trailer section that only make sense in a head (RFC 9110 6.5.1), and those
/// by which the proxy tells an origin who the client is, whoever sent them. False: a request has
/// one that would change framing or routing, so it is malformed. A response loses even that: its
/// body has ended, and what is dropped cannot mislead the client.
bool sift_trailers(Headers& trailers, TrailersOf message);

}  // namespace tidegate::http
