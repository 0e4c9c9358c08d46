// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace tidegate::http {

/// Drops the fields that concern one connection only (RFC 9110 7.6.1): Connection and what it
/// names, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade, HTTP2-Settings,
/// Proxy-Authorization and its kin, and Trailer unless the body can have trailers. Of TE only
/// "trailers" is kept. Codecs write the framing, and Connection and Upgrade of a real upgrade
/// (RequestHead::upgrade), by themselves.
///
/// BadRequest: Connection names what only this proxy may remove (Host, Content-Length, a forwarding
/// header, X-Request-Id), or something that is no token, such as a pseudo-header. Were such a name
/// obeyed, a client could delete what the proxy tells the origin.
Result<void> strip_hop_by_hop(RequestHead& head);

/// The same for a response; Alt-Svc goes too, since it speaks of the origin's own address. The
/// Upgrade of a 101 stays: it says which protocol was agreed on.
void strip_hop_by_hop(ResponseHead& head);

/// Removes from trailers what the head's Connection named (`nominated` of the head, which
/// strip_hop_by_hop fills).
void strip_nominated(Headers& trailers, std::span<const std::string_view> nominated);

}  // namespace tidegate::http
