// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "base/strings.h"

namespace tidegate::http {

/// Whether a client may ask for a tunnel of this protocol (RFC 9110 7.8, RFC 8441 4). HTTP itself is
/// not tunnelled: its requests would pass the proxy's routes, policies and limits unseen.
inline bool may_tunnel(std::string_view protocol) {
  return !iequals(protocol, "h2c") && !iequals(protocol, "h2") && !iequals(protocol, "h3") &&
         !iequals(protocol.substr(0, 5), "http/") && !iequals(protocol, "http");
}

}  // namespace tidegate::http
