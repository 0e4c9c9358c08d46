// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

using namespace tidegate;
using namespace tidegate::server;

namespace {

/// The program with its surroundings replaced: what it printed and gave back.
struct Program {
  std::ostringstream out, err;
  std::vector<std::string> script_faults;
  CheckedFiles files;
  std::optional<std::string> served;  // first listener's address and first endpoint
  int status = -1;

  Program& run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "tidegate");
    auto command =
        parse_command_line(static_cast<int>(arguments.size()), arguments.data(), out, err);
    if (!command) {
      status = command.error();
      return *this;
    }
    Surroundings surroundings{[](const std::string&) { return std::nullopt; },
                              [this](const config::Source& source) { return serve(source); },
                              [this](const config::Snapshot&) { return script_faults; },
                              [this](const config::Snapshot&) { return files; },
                              out,
                              err};
    status = run_command(*command, surroundings);
    return *this;
  }

 private:
  int serve(const config::Source& source) {
    auto loaded = source.load();
    if (!loaded) {
      err << config::to_string(loaded.error());
      return kWrongUsage;
    }
    served = loaded->listeners.at(0).address.to_string();
    for (const auto& endpoint : loaded->clusters.at(0).endpoints) *served += " " + endpoint.url;
    return kFine;
  }
};

const std::string kConfigs = TIDEGATE_SOURCE_DIR "/tests/config/";

}  // namespace

TEST_CASE("run hands flags to the source in place of a file") {
  Program program;
  program.run({"run", "--listen", ":0", "--upstream", "10.0.0.1:80,http://10.0.0.2:81"});
  CHECK(program.status == kFine);
  CHECK(program.served == "0.0.0.0:0 http://10.0.0.1:80 http://10.0.0.2:81");
}

TEST_CASE("each --set takes one value, so that several do not swallow each other") {
  Program program;
  program.run({"run", "--set", "listeners.0.address=127.0.0.1:1", "--set",
               "clusters.default.endpoints.0=http://10.0.0.9:9"});
  CHECK(program.served == "127.0.0.1:1 http://10.0.0.9:9");
}

TEST_CASE("check says what the file holds") {
  Program program;
  std::string file = kConfigs + "ok/minimal.yaml";
  program.run({"check", "--config", file.c_str()});
  CHECK(program.err.str() == "");
  CHECK(program.out.str() == file + ": ok: 1 listener, 1 cluster, 1 route, 0 policies\n");
  CHECK(program.status == kFine);
}

TEST_CASE("check prints every fault and gives status 2") {
  Program program;
  program.run({"check", "--set", "log.level=loud", "--set", "workers=many"});
  CHECK(program.status == kWrongUsage);
  CHECK(program.err.str() ==
        "--set log.level: log.level: must be one of debug, info, warn, error, got 'loud'\n"
        "--set workers: workers: expected a whole number, got 'many'\n");
}

TEST_CASE("check gives status 2 when a script does not compile") {
  Program program;
  program.script_faults = {"scripts/a.lua:3: '=' expected near 'x'"};
  program.run({"check"});
  CHECK(program.status == kWrongUsage);
  CHECK(program.err.str() == "scripts/a.lua:3: '=' expected near 'x'\n");
}

TEST_CASE("check gives status 2 when a certificate cannot be used, and only warns of an old one") {
  Program program;
  program.files.faults = {"tidegate.yaml:4: listener public: a.key is not the key of a.pem"};
  program.run({"check"});
  CHECK(program.status == kWrongUsage);
  CHECK(program.err.str() == program.files.faults[0] + "\n");
  Program warned;
  warned.files.warnings = {"tidegate.yaml:4: listener public: a.pem has expired"};
  warned.run({"check"});
  CHECK(warned.status == kFine);
  CHECK(warned.err.str() == "warning: " + warned.files.warnings[0] + "\n");
}

TEST_CASE("wrong usage gives status 2 and says so on standard error") {
  for (std::vector<const char*> wrong : {std::vector<const char*>{},
                                         {"serve"},
                                         {"run", "--confg", "x"},
                                         {"run", "--config", ""},
                                         {"version", "more"}}) {
    Program program;
    program.run(wrong);
    CHECK(program.status == kWrongUsage);
    CHECK(program.err.str() != "");
    CHECK(program.out.str() == "");
  }
}

TEST_CASE("help and version go to standard output") {
  CHECK(Program().run({"--help"}).out.str().find("run") != std::string::npos);
  Program program;
  program.run({"version"});
  CHECK(program.out.str() == "tidegate " TIDEGATE_VERSION "\n");
  CHECK(program.status == kFine);
}

TEST_CASE("a config file that is not there is named with the reason") {
  Program program;
  program.run({"check", "--config", "/nowhere/tidegate.yaml"});
  CHECK(program.status == kWrongUsage);
  CHECK(program.err.str() == "/nowhere/tidegate.yaml: cannot be read: No such file or directory\n");
}
