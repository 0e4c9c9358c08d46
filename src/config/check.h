// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/reader.h"
#include "config/snapshot.h"

namespace tidegate::config {

/// Judges what one key alone cannot tell: names that must exist or be unique, keys that exclude or
/// need each other, addresses that collide. `reader` has bound `snapshot` and knows every position.
void check(const Snapshot& snapshot, const Reader& reader, Errors& errors);

}  // namespace tidegate::config
