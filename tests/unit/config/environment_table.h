// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "config/load.h"

namespace tidegate::config {

/// An environment that holds just these variables.
inline Environment environment_of(std::map<std::string, std::string> values) {
  return [values](const std::string& name) -> std::optional<std::string> {
    auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

/// The messages, or that there are none.
inline std::string errors_of(const Loaded& loaded) {
  return loaded ? std::string("(loaded)") : to_string(loaded.error());
}

inline std::string config_folder(const std::string& name) {
  return TIDEGATE_SOURCE_DIR "/tests/config/" + name;
}

}  // namespace tidegate::config
