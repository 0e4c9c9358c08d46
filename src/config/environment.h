// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <optional>
#include <string>

namespace tidegate::config {

/// The value of an environment variable, or nothing when it is not set. A seam: the program passes
/// the process environment, tests pass a table.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

}  // namespace tidegate::config
