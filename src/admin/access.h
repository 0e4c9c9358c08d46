// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "admin/admin_api.h"
#include "config/snapshot.h"

namespace tidegate::admin {

enum class Access : uint8_t {
  Granted,
  TokenNeeded,  // 401
  WebPage,      // 403: a page in somebody's browser may have caused it
};

/// May `request` change state? With a token set, whoever shows it may. Without one, a browser must
/// not be made to do it for a foreign page: an Origin must be the admin address's own, and the Host
/// a literal address, "localhost" or the configured name, since any other name can be pointed at
/// the admin address by its owner (DNS rebinding).
Access may_change(const Request& request, const config::Admin& admin);

/// May `request` read what says more than health and metrics? With a token set, whoever shows it
/// may. Without one, rebound names are refused where the address is a loopback one, so that pages
/// cannot read what only this machine should.
Access may_read(const Request& request, const config::Admin& admin);

/// Compares without telling by the time it takes where the texts differ.
bool equal_secret(std::string_view given, std::string_view secret);

}  // namespace tidegate::admin
