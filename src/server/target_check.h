// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "config/snapshot.h"

namespace tidegate::server {

/// What of the access log's file and of unix sockets cannot be made, since the folder is missing,
/// or a folder stands in its place; for `check`. Makes nothing.
std::vector<std::string> target_faults(const config::Snapshot& snapshot);

/// Warns of an admin address that other machines reach and no token protects; empty: it is not so.
std::string doubtful_admin(const config::Admin& admin);

}  // namespace tidegate::server
