// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "config/environment.h"
#include "config/node.h"

namespace tidegate::config {

/// Reads one YAML document: anchors, aliases and merge keys resolved, variables in values expanded,
/// a key given twice in a mapping reported. Faults go to `errors`; nothing is given when the text
/// is not YAML at all. Depth and size of the tree are bounded, aliases counted as what they expand
/// to.
std::optional<Node> parse_yaml(std::string_view text, const std::string& source,
                               const Environment& environment, Errors& errors);

}  // namespace tidegate::config
