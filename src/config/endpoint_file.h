// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/environment.h"
#include "config/error.h"
#include "config/snapshot.h"

namespace tidegate::config {

using LoadedEndpoints = tl::expected<std::vector<Endpoint>, Errors>;

/// A file of endpoints: a YAML list, as a cluster's `endpoints` takes it. Blocking (reads the
/// file).
LoadedEndpoints load_endpoints(const std::string& path, const Environment& environment);

/// The same from text: YAML, and so JSON too; `name` stands in messages, and relative paths start
/// from its folder.
LoadedEndpoints parse_endpoints(std::string_view text, const std::string& name,
                                const Environment& environment);

/// The same from JSON, with nothing expanded; for lists that a script makes.
LoadedEndpoints endpoints_from_json(std::string_view json);

}  // namespace tidegate::config
