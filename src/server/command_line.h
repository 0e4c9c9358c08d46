// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <ostream>
#include <string>

#include "base/result.h"
#include "config/overlay.h"

namespace tidegate::server {

enum class Verb : uint8_t { Run, Check, Schema, Reference, Version };

/// One use of the program, as argv says it.
struct Command {
  Verb verb = Verb::Run;
  std::string config_file;  // empty: from the environment
  config::Overrides overrides;
};

// Exit statuses of the program.
constexpr int kFine = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;  // also: a configuration that does not validate

/// The command, or the exit status when help was asked for or the usage was wrong; then all has
/// been said on `out` or `err`.
tl::expected<Command, int> parse_command_line(int argc, const char* const* argv, std::ostream& out,
                                              std::ostream& err);

}  // namespace tidegate::server
