// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "http/message.h"
#include "proxy/forwarding.h"

namespace tidegate::proxy {

/// The key and accept of a WebSocket handshake, which HTTP/1 has (RFC 6455 4) and HTTP/2 has not
/// (RFC 8441 5.1): where the two sides of an exchange differ, the proxy stands in for the side that
/// lacks them. Other upgrades and equal sides pass untouched. Texts are in the exchange's arena.
class WebsocketKeys {
 public:
  /// Makes `request` fit the origin's protocol; before each attempt.
  void prepare(http::RequestHead& request, bool http2_origin, IdGenerator& random);
  /// Makes a 101 fit the client's. False: the origin has not understood the handshake.
  bool finish(const http::RequestHead& request, http::ResponseHead& response) const;

 private:
  std::string_view clients_;  // of a client of HTTP/1
  std::string_view own_;      // sent in the name of a client of HTTP/2
  bool http2_origin_ = false;
};

}  // namespace tidegate::proxy
