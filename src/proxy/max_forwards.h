// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "http/message.h"

namespace tidegate::proxy {

class Exchange;

/// Max-Forwards of TRACE and OPTIONS (RFC 9110 7.6.2), with which a client asks each proxy on the
/// way to an origin. Of other methods the field means nothing and stays.

/// Takes one from it, for the next hop. False: it is 0, so the request goes no further.
bool take_forward(http::RequestHead& head);

/// A TRACE as the client sent it (RFC 9110 9.3.8), without fields that hold secrets or that tell
/// its way so far. In the head's arena. REQUIRES: nothing has been added to the head, or changed.
std::string_view text_of_received(const http::RequestHead& head);

/// Answers such a request in the origin's place: TRACE gets back `received`, OPTIONS a 200 without
/// a body.
void answer_last_recipient(Exchange& exchange, std::string_view received);

}  // namespace tidegate::proxy
