// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "config/node.h"
#include "config/snapshot.h"

namespace tidegate::config {

/// The whole configuration as a tree, defaults spelled out, with *** in place of what may be a
/// secret: the admin token, a proxy's password, policies' options, headers such as authorization,
/// and all that variables gave.
Node masked_tree(const Snapshot& snapshot);
/// The same in one canonical YAML form.
std::string dump(const Snapshot& snapshot);
/// The same as JSON.
std::string dump_json(const Snapshot& snapshot);

}  // namespace tidegate::config
