// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "base/error.h"

namespace tidegate::http::http2 {

/// What a peer is told by RST_STREAM (RFC 9113 7) when an exchange with it ends by `code`.
uint32_t reset_code(ErrorCode code);

}  // namespace tidegate::http::http2
