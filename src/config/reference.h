// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace tidegate::config {

/// Every key in Markdown, a table per section, from the field table. What is specified but not yet
/// built is listed apart.
std::string reference();

}  // namespace tidegate::config
