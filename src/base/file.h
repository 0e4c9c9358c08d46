// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string>

#include "base/result.h"

namespace tidegate {

/// More than any file that the proxy reads as a whole has reason to be.
inline constexpr size_t kLargestFile = size_t{256} << 20;

/// All of a file; or why it cannot be had, as a message that the file's name stands before, such as
/// "cannot be read: No such file or directory". Only of regular files: opening a named pipe, or
/// reading a terminal, would wait for somebody who may never come.
Fallible<std::string> read_regular_file(const std::string& path);

}  // namespace tidegate
