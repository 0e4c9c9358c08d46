// SPDX-License-Identifier: Apache-2.0
#include "config/text_file.h"

#include "base/file.h"

namespace tidegate::config {

Fallible<std::string> read_text(const std::string& path) {
  return read_regular_file(path);
}

}  // namespace tidegate::config
