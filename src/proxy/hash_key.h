// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "config/balancing.h"
#include "http/message.h"

namespace tidegate::proxy {

/// What `hash_on` names in a request, as it stands there: nothing is decoded. Empty: it is not
/// there.
std::string_view hash_key(const config::HashOn& what, const http::RequestHead& request,
                          std::string_view client_ip);

/// Value of the first cookie of that name (RFC 6265 4.2), quotes included.
std::string_view cookie_value(const http::Headers& headers, std::string_view name);
/// Value of the first query argument of that name.
std::string_view query_value(std::string_view query, std::string_view name);

}  // namespace tidegate::proxy
