// SPDX-License-Identifier: Apache-2.0
#include "http/http2/reset_code.h"

#include <nghttp2/nghttp2.h>

namespace tidegate::http::http2 {

uint32_t reset_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::BadRequest:
    case ErrorCode::UriTooLong:
    case ErrorCode::HeadersTooLarge:
      return NGHTTP2_PROTOCOL_ERROR;
    case ErrorCode::BodyTooLarge:
    case ErrorCode::RequestTimeout:
    case ErrorCode::ClientClosed:
    case ErrorCode::IdleTimeout:
    case ErrorCode::ExchangeTimeout:
    case ErrorCode::Draining:
      return NGHTTP2_CANCEL;
    default:
      return NGHTTP2_INTERNAL_ERROR;
  }
}

}  // namespace tidegate::http::http2
