// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

namespace tidegate {

/// Whose fault an error is; printed in logs beside the token.
enum class Side : uint8_t { None, Client, Origin, Proxy, Script };

/// Everything that can go wrong with one exchange. The table in error.cc gives each its token,
/// side, HTTP status and whether another attempt is allowed; access log, metric label and local
/// reply all print the same token.
enum class ErrorCode : uint8_t {
  None,
  // client
  BadRequest,
  UriTooLong,
  HeadersTooLarge,
  BodyTooLarge,
  RequestTimeout,
  ClientClosed,
  VersionUnsupported,
  ExpectationFailed,
  MethodUnsupported,
  TransferCodingUnsupported,
  RateLimited,
  ClientBusy,
  // proxy
  NoRoute,
  LoopDetected,
  NoEndpoint,
  BreakerOpen,
  PoolOverflow,
  PendingTimeout,
  ClusterBusy,
  RouteBusy,
  Overloaded,
  ProxyExhausted,  // no descriptor, port or memory for a connection to the origin
  Draining,
  Internal,
  // origin
  ConnectFailed,
  ConnectTimeout,
  TlsHandshakeFailed,
  CertificateInvalid,
  OutboundProxyUnreachable,
  OutboundProxyTimeout,
  OutboundProxyRefused,
  OutboundProxyAuth,
  OriginReset,
  OriginClosed,
  BadResponse,
  ResponseHeadersTooLarge,
  ResponseTimeout,
  PerTryTimeout,
  IdleTimeout,
  ExchangeTimeout,
  StreamRefused,  // the origin has not processed the request: any may be sent again
  OriginStatus,   // it answered with a status to retry on, and no endpoint was left to ask
  UpgradeUnsupported,
  // script
  ScriptError,
  ScriptCpu,
  ScriptMemory,
  ScriptTime,
  Count_
};

struct ErrorInfo {
  std::string_view token;  // "connect_timeout"
  std::string_view title;  // one sentence for a client; tells an attacker nothing
  Side side;
  uint16_t status;  // of the local reply
  bool retryable;   // another attempt may be made, if the request allows it
};

const ErrorInfo& describe(ErrorCode code);
std::string_view to_string(Side side);

}  // namespace tidegate
