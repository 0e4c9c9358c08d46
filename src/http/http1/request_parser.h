// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "http/codec.h"
#include "http/message.h"

namespace tidegate::http::http1 {

struct ParsedRequest {
  ErrorCode error = ErrorCode::None;
  bool persists = false;  // the client wants the connection kept
};

/// Fills `head` from a complete head block: copies it once into the arena of `head.headers` and
/// points into the copy. `lines`: its field lines, as counted by HeadScan. On an error the head
/// holds what had been read until then.
ParsedRequest parse_request_head(std::string_view block, uint32_t lines, const Limits& limits,
                                 RequestHead& head);

}  // namespace tidegate::http::http1
