// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace tidegate::config {

/// Types a plain scalar by the core schema of YAML 1.2 (section 10.3.2): null, boolean, integer
/// (also 0o17 and 0x1f), floating point; anything else is a string, and so is what JSON lacks.
nlohmann::ordered_json resolve_scalar(std::string_view text);

/// A value as a plain scalar would show it, in quotes where it would otherwise read as something
/// else. Double quotes with JSON's escapes, which YAML shares.
std::string write_scalar(std::string_view text, bool is_string);

}  // namespace tidegate::config
