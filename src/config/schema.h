// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace tidegate::config {

/// JSON Schema (draft 2020-12) of the config file, from the field table; for editors. It admits
/// `${NAME}` wherever a value may hold one, and leaves the checks across keys to `check`.
std::string json_schema();

}  // namespace tidegate::config
