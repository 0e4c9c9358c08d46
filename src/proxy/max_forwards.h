// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/message.h"

namespace tidegate::proxy {

class Exchange;

/// Max-Forwards of TRACE and OPTIONS (RFC 9110 7.6.2), with which a client asks each proxy on the
/// way to an origin. Of other methods the field means nothing and stays.

/// Takes one from it, for the next hop. False: it is 0, so the request goes no further.
bool take_forward(http::RequestHead& head);

/// Answers such a request in the origin's place: TRACE gets back what would have been forwarded,
/// but for fields that hold secrets; OPTIONS gets a 200 without a body.
void answer_last_recipient(Exchange& exchange);

}  // namespace tidegate::proxy
