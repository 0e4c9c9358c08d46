// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

#include <fmt/format.h>

#include "config/reference.h"
#include "config/schema.h"

namespace tidegate::server {
namespace {

std::string counted(size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string summary(const config::Snapshot& snapshot) {
  return fmt::format("{}: ok: {}, {}, {}, {}\n", snapshot.source,
                     counted(snapshot.listeners.size(), "listener", "listeners"),
                     counted(snapshot.clusters.size(), "cluster", "clusters"),
                     counted(snapshot.routes.size(), "route", "routes"),
                     counted(snapshot.policies.size(), "policy", "policies"));
}

int check(const config::Source& source, const Surroundings& surroundings) {
  auto loaded = source.load();
  if (!loaded) {
    surroundings.err << config::to_string(loaded.error());
    return kWrongUsage;
  }
  std::vector<std::string> faults = surroundings.check_scripts(*loaded);
  const CheckedFiles files = surroundings.check_files(*loaded);
  faults.insert(faults.end(), files.faults.begin(), files.faults.end());
  std::vector<std::string> warnings = loaded->warnings;
  warnings.insert(warnings.end(), files.warnings.begin(), files.warnings.end());
  for (const std::string& warning : warnings) {
    surroundings.err << "warning: " << warning << "\n";
  }
  for (const std::string& fault : faults) surroundings.err << fault << "\n";
  if (!faults.empty()) return kWrongUsage;
  surroundings.out << summary(*loaded);
  return kFine;
}

}  // namespace

int run_command(const Command& command, const Surroundings& surroundings) {
  config::Source source(command.config_file, command.overrides, surroundings.environment);
  switch (command.verb) {
    case Verb::Run:
      return surroundings.serve(source);
    case Verb::Check:
      return check(source, surroundings);
    case Verb::Schema:
      surroundings.out << config::json_schema();
      return kFine;
    case Verb::Reference:
      surroundings.out << config::reference();
      return kFine;
    case Verb::Version:
      surroundings.out << "tidegate " TIDEGATE_VERSION "\n";
      return kFine;
  }
  return kWrongUsage;
}

}  // namespace tidegate::server
