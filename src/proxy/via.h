// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

namespace tidegate::proxy {

/// The Via field (RFC 9110 7.6.3). The proxy's name in it is "tidegate-" and a number that is drawn
/// once for the process: two proxies in one chain differ, and nothing is told of the machine.

/// The proxy stands in the request's Via already, so the request has come in a circle.
bool came_through_here(const http::RequestHead& head);

/// Adds the proxy to the message's Via. What Connection nominates has been removed by then.
void add_via(http::RequestHead& head);
void add_via(http::ResponseHead& head);

}  // namespace tidegate::proxy
