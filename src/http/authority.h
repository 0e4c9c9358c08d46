// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

namespace tidegate::http {

/// host [":" port] of an http URI, without user information: a name, an IPv4 address or an IPv6
/// address in brackets (RFC 9110 4.2, RFC 3986 3.2.2). Of the bytes that a registered name may hold
/// in theory only letters, digits and "-._~" are taken, as no other resolves.
bool is_authority(std::string_view text);

}  // namespace tidegate::http
