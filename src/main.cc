// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <iostream>

#include "server/commands.h"

namespace {

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tidegate::server;
  auto command = parse_command_line(argc, argv, std::cout, std::cerr);
  if (!command) return command.error();
  return run_command(*command, {environment_variable, serve, check_scripts, check_files, std::cout,
                                std::cerr});
}
