// SPDX-License-Identifier: Apache-2.0
#include "config/text_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tidegate::config {

Fallible<std::string> read_text(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return tl::unexpected(std::string("is a folder"));
  std::ifstream file(path, std::ios::binary);
  if (!file) return tl::unexpected(fmt::format("cannot be read: {}", strerror(errno)));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace tidegate::config
