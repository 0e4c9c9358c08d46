// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <array>
#include <cstddef>

namespace tidegate {
namespace {

constexpr std::array<ErrorInfo, static_cast<size_t>(ErrorCode::Count_)> kErrors{{
    {"none", "No error", Side::None, 200, false},
    {"bad_request", "The request is malformed", Side::Client, 400, false},
    {"uri_too_long", "The request target is too long", Side::Client, 414, false},
    {"headers_too_large", "The request header fields are too large", Side::Client, 431, false},
    {"body_too_large", "The request body is too large", Side::Client, 413, false},
    {"request_timeout", "The request did not arrive in time", Side::Client, 408, false},
    {"client_closed", "The client went away", Side::Client, 499, false},
    {"version_unsupported", "The HTTP version is not supported", Side::Client, 505, false},
    {"expectation_failed", "The expectation is not supported", Side::Client, 417, false},
    {"method_unsupported", "The method is not supported here", Side::Client, 501, false},
    {"transfer_coding_unsupported", "The transfer coding is not supported", Side::Client, 501,
     false},
    {"rate_limited", "Too many requests", Side::Client, 429, false},
    {"client_busy", "Too many requests at once", Side::Client, 429, false},
    {"no_route", "No route matches the request", Side::Proxy, 404, false},
    {"loop_detected", "The request has come in a circle", Side::Proxy, 508, false},
    {"no_endpoint", "No endpoint is available", Side::Proxy, 503, false},
    {"breaker_open", "No endpoint is available for the moment", Side::Proxy, 503, false},
    {"pool_overflow", "Too many requests are waiting", Side::Proxy, 503, false},
    {"pending_timeout", "The request waited too long for a connection", Side::Proxy, 503, false},
    {"cluster_busy", "Too many requests are under way", Side::Proxy, 503, false},
    {"route_busy", "Too many requests are under way", Side::Proxy, 503, false},
    {"overloaded", "The proxy is overloaded", Side::Proxy, 503, false},
    {"proxy_exhausted", "No connection can be made at present", Side::Proxy, 503, true},
    {"draining", "The proxy is shutting down", Side::Proxy, 503, false},
    {"internal", "Internal error", Side::Proxy, 500, false},
    {"connect_failed", "The origin cannot be reached", Side::Origin, 502, true},
    {"connect_timeout", "The origin did not accept in time", Side::Origin, 504, true},
    {"tls_handshake_failed", "The origin cannot be reached securely", Side::Origin, 502, true},
    {"certificate_invalid", "The origin cannot be trusted", Side::Origin, 502, true},
    {"outbound_proxy_unreachable", "The origin cannot be reached", Side::Origin, 502, true},
    {"outbound_proxy_timeout", "The origin cannot be reached in time", Side::Origin, 504, true},
    {"outbound_proxy_refused", "The origin cannot be reached", Side::Origin, 502, true},
    {"outbound_proxy_auth", "The origin cannot be reached", Side::Origin, 502, false},
    {"origin_reset", "The origin reset the connection", Side::Origin, 502, true},
    {"origin_closed", "The origin closed the connection early", Side::Origin, 502, true},
    {"bad_response", "The origin sent a malformed response", Side::Origin, 502, true},
    {"response_headers_too_large", "The origin sent too large header fields", Side::Origin, 502,
     false},
    {"response_timeout", "The origin did not answer in time", Side::Origin, 504, true},
    {"per_try_timeout", "The origin did not answer in time", Side::Origin, 504, true},
    {"idle_timeout", "The exchange stood still for too long", Side::Origin, 504, false},
    {"exchange_timeout", "The exchange took too long", Side::Proxy, 504, false},
    {"stream_refused", "The origin did not take the request", Side::Origin, 502, true},
    {"origin_status", "The origin could not answer the request", Side::Origin, 502, false},
    {"upgrade_unsupported", "The origin does not support this upgrade", Side::Origin, 501, false},
    {"script_error", "The request could not be processed", Side::Script, 500, false},
    {"script_cpu", "The request could not be processed", Side::Script, 500, false},
    {"script_memory", "The request could not be processed", Side::Script, 500, false},
    {"script_time", "The request could not be processed", Side::Script, 500, false},
}};

}  // namespace

const ErrorInfo& describe(ErrorCode code) {
  return kErrors[static_cast<size_t>(code)];
}

std::string_view to_string(Side side) {
  constexpr std::array<std::string_view, 5> kNames{"none", "client", "origin", "proxy", "script"};
  return kNames[static_cast<size_t>(side)];
}

}  // namespace tidegate
