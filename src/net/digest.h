// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace tidegate::net {

/// Base64 with padding (RFC 4648 4).
std::string base64(std::string_view bytes);
/// Base64 of the SHA-1, which proves nothing and which WebSocket asks for (RFC 6455 1.3).
std::string sha1_base64(std::string_view bytes);

}  // namespace tidegate::net
