// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/headers.h"

namespace tidegate::http {

/// Drops the fields of a trailer section that only make sense in a head. False: one is there that
/// would change framing or routing, so the message is malformed (RFC 9110 6.5.1).
bool sift_trailers(Headers& trailers);

}  // namespace tidegate::http
