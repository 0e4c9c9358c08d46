// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

namespace tidegate::proxy {

/// The Via field (RFC 9110 7.6.3). The proxy's name in it is "tidegate-" and a number that is drawn
/// once for the process: two proxies in one chain differ, and nothing is told of the machine.

/// Adds the proxy to a request's Via. False, and nothing added: it stands there already, so the
/// request has come in a circle.
bool add_via(http::RequestHead& head);
void add_via(http::ResponseHead& head);

}  // namespace tidegate::proxy
