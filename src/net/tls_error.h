// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace tidegate::net {

/// What OpenSSL's error queue of this thread says, in one line ("wrong version number"), and
/// empties the queue. Several errors are joined, the first one first; "unknown error" when there is
/// none.
std::string take_openssl_error();

}  // namespace tidegate::net
