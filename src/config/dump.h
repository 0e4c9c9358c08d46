// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "config/snapshot.h"

namespace tidegate::config {

/// The whole configuration in one canonical YAML form, defaults spelled out, secrets masked: the
/// admin token, and options whose key holds secret, token or password.
std::string dump(const Snapshot& snapshot);
/// The same as JSON.
std::string dump_json(const Snapshot& snapshot);

}  // namespace tidegate::config
