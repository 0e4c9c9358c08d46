// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

namespace tidegate::http::http1 {

/// Takes `head.target`, whose bytes are visible ASCII without '#', apart into path, query, scheme
/// and authority, by the forms of RFC 9112 3.2. CONNECT gets the path "/". False: no form fits.
bool parse_target(RequestHead& head);

}  // namespace tidegate::http::http1
