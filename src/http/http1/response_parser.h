// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

#include "http/codec.h"
#include "http/message.h"

namespace tidegate::http::http1 {

/// What the body of a response ends with.
enum class ResponseEnd : uint8_t { Head, Length, Chunks, Close };

struct ParsedResponse {
  bool valid = false;
  ResponseEnd end = ResponseEnd::Head;
  bool persists = false;  // the origin keeps the connection, and no body can follow unseen
  bool clean = true;      // false: a 1xx or 204 announced a body, which was disregarded
};

/// Fills `head` from a complete head block, as parse_request_head does. `to_head`: it answers HEAD.
ParsedResponse parse_response_head(std::string_view block, uint32_t lines, const Limits& limits,
                                   bool to_head, ResponseHead& head);

}  // namespace tidegate::http::http1
