// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "config/load.h"
#include "server/command_line.h"

namespace tidegate::server {

/// Of what a configuration names outside itself: files, addresses and hosts.
struct CheckedFiles {
  std::vector<std::string> faults;    // "tidegate.yaml:4: …"
  std::vector<std::string> warnings;  // the same form
};

/// What commands need from elsewhere; a test gives its own.
struct Surroundings {
  config::Environment environment;
  /// Serves until stopped; gives the exit status. The source can load again for each reload.
  std::function<int(const config::Source&)> serve;
  /// Compiles every policy's script; one message per fault, "scripts/a.lua:3: …".
  std::function<std::vector<std::string>(const config::Snapshot&)> check_scripts;
  /// Loads certificates and keys; resolves the addresses to listen on and the names of endpoints.
  std::function<CheckedFiles(const config::Snapshot&)> check_files;
  std::ostream& out;
  std::ostream& err;
};

/// Carries the command out and gives the exit status.
int run_command(const Command& command, const Surroundings& surroundings);

// What `tidegate` itself puts into Surroundings; defined in server.cc.
int serve(const config::Source& source);
std::vector<std::string> check_scripts(const config::Snapshot& snapshot);
CheckedFiles check_files(const config::Snapshot& snapshot);

}  // namespace tidegate::server
