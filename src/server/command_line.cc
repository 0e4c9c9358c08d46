// SPDX-License-Identifier: Apache-2.0
#include "server/command_line.h"

#include <CLI/CLI.hpp>

namespace tidegate::server {
namespace {

std::string require_text(const std::string& value) {
  return value.empty() ? "must not be empty" : "";
}

/// Options that say where the configuration comes from.
void add_source_options(CLI::App& verb, Command& command, std::vector<std::string>& upstreams) {
  auto& overrides = command.overrides;
  verb.add_option("-c,--config", command.config_file,
                  "YAML file; without it, TIDEGATE_* variables and the flags below")
      ->check(require_text)
      ->type_name("FILE");
  verb.add_option("--listen", overrides.listen, "address of the first listener")
      ->check(require_text)
      ->type_name("ADDR");
  verb.add_option("--upstream", upstreams, "endpoints of the only cluster")
      ->allow_extra_args(false)
      ->check(require_text)
      ->type_name("URL[,URL...]");
  verb.add_option("--policy", overrides.policies, "a Lua script for every route; may be repeated")
      ->allow_extra_args(false)
      ->check(require_text)
      ->type_name("SCRIPT");
  verb.add_option("--set", overrides.sets,
                  "any key, as in listeners.0.max_connections=5; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
}

}  // namespace

tl::expected<Command, int> parse_command_line(int argc, const char* const* argv, std::ostream& out,
                                              std::ostream& err) {
  Command command;
  std::vector<std::string> upstreams;
  CLI::App app{"A Lua-scriptable programmable proxy", "tidegate"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "tidegate " TIDEGATE_VERSION);
  auto add = [&](const char* name, const char* text, Verb verb) {
    CLI::App* added = app.add_subcommand(name, text);
    added->callback([&command, verb] { command.verb = verb; });
    return added;
  };
  add_source_options(*add("run", "Serve", Verb::Run), command, upstreams);
  add_source_options(
      *add("check", "Validate the configuration and compile every script", Verb::Check), command,
      upstreams);
  add("schema", "Print the JSON Schema of the configuration", Verb::Schema);
  add("reference", "Print the reference of the configuration in Markdown", Verb::Reference);
  add("version", "Print the version", Verb::Version);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return tl::unexpected(app.exit(error, out, err) == 0 ? kFine : kWrongUsage);
  }
  for (const std::string& list : upstreams) {
    for (std::string& url : config::split_list(list)) {
      command.overrides.upstreams.push_back(std::move(url));
    }
  }
  return command;
}

}  // namespace tidegate::server
