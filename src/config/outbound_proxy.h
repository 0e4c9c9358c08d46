// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "config/environment.h"
#include "config/error.h"
#include "config/reader.h"
#include "config/snapshot.h"

namespace tidegate::config {

/// "http://[user[:password]@]host[:port]"; user and password percent-encoded.
Fallible<OutboundProxy> parse_outbound_proxy(std::string_view url);

/// Fills what `outbound_proxy` and `no_proxy` of each cluster stand for. The word `environment`
/// stands for HTTP_PROXY and HTTPS_PROXY, each also in lower case, which goes first; where there is
/// no `no_proxy`, NO_PROXY holds for either.
void resolve_outbound_proxies(Snapshot& snapshot, const Environment& environment,
                              const Reader& reader, Errors& errors);

/// The proxy on the way to that endpoint; nullptr: none.
const OutboundProxy* outbound_proxy_for(const Cluster& cluster, const Endpoint& endpoint);

}  // namespace tidegate::config
