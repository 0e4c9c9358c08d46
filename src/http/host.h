// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/arena.h"
#include "base/result.h"

namespace tidegate::http {

/// The two parts of an authority (RFC 3986 3.2, without user information).
struct HostPort {
  std::string_view host;         // lower case, no trailing dot; an IPv6 literal with its brackets
  std::optional<uint16_t> port;  // absent, or empty as in "example.com:"
};

/// Splits and checks an authority, the value of Host or :authority. An empty one gives an empty
/// host. A host that is lower case already is not copied.
///
/// BadRequest: user information, a port over 65535 or with odd digits, an IPv6 literal that is
/// none, an empty label, a host over 255 bytes, or a character outside letters, digits and "-._~".
Result<HostPort> split_authority(std::string_view authority, Arena& arena);

}  // namespace tidegate::http
