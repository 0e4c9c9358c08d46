// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "http/headers.h"

namespace tidegate::http::http2 {

inline constexpr uint8_t kDefaultUrgency = 3;

/// The urgency that a Priority field asks for, 0 to 7 (RFC 9218 4.1).
uint8_t urgency_of(const Headers& headers);

}  // namespace tidegate::http::http2
