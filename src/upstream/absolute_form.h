// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/arena.h"
#include "http/message.h"
#include "upstream/endpoint.h"

namespace tidegate::upstream {

/// Turns a request for `endpoint` into one for its proxy, which passes it on: an absolute target
/// (RFC 9112 3.2.2) and who asks. A proxy goes by the target and overrules Host, so Host must be the
/// endpoint's. REQUIRES: endpoint.by_absolute_form(); all texts live as long as the arena.
void address_to_proxy(http::RequestHead& head, const Endpoint& endpoint, Arena& arena);

}  // namespace tidegate::upstream
