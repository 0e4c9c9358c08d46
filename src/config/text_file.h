// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"

namespace tidegate::config {

/// All of a file; or why it can not be had, as a message that the file's name stands before.
/// Blocks.
Fallible<std::string> read_text(const std::string& path);

}  // namespace tidegate::config
