// SPDX-License-Identifier: Apache-2.0
#include "config/load.h"

#include <doctest/doctest.h>

#include "unit/config/environment_table.h"

using namespace tidegate::config;

namespace {

constexpr const char* kSmall =
    "listeners: [{ address: 127.0.0.1:8080 }]\n"
    "clusters: { users: { endpoints: [http://10.0.0.1:80] } }\n"
    "routes: [{ cluster: users }]\n";

Loaded load_small_and(const std::string& more) {
  return load_text(kSmall + more, "tidegate.yaml", environment_of({}));
}

}  // namespace

TEST_CASE("a misspelt key is an error at its line with the nearest known key") {
  auto loaded = load_text(
      "listeners: [{ address: 127.0.0.1:8080 }]\n"
      "clusters: { users: { endpoints: [http://10.0.0.1:80] } }\n"
      "routes:\n"
      "  - clutser: users\n",
      "tidegate.yaml", environment_of({}));
  CHECK(errors_of(loaded) ==
        "tidegate.yaml:4:5: routes[0].clutser: unknown key, did you mean 'cluster'?\n");
}

TEST_CASE("a small file gets every default") {
  auto loaded = load_small_and("");
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->listeners.at(0).name == "listeners.0");
  CHECK(loaded->clusters.at(0).endpoints.at(0).address.to_string() == "10.0.0.1:80");
  CHECK(loaded->routes.at(0).name == "routes.0");
  CHECK(loaded->routes.at(0).timeout == std::chrono::seconds(30));
  CHECK(loaded->admin.address->to_string() == "127.0.0.1:9090");
  CHECK(loaded->source == "tidegate.yaml");
}

TEST_CASE("each struct knows the line that it came from") {
  auto loaded = load_small_and("policies:\n  guard: { script: Makefile }\n");
  CHECK(errors_of(loaded).starts_with("tidegate.yaml:5:20: policies.guard.script:"));
  loaded = load_small_and("");
  REQUIRE(loaded);
  CHECK(loaded->listeners.at(0).origin.file == "tidegate.yaml");
  CHECK(loaded->listeners.at(0).origin.line == 1);
  CHECK(loaded->clusters.at(0).origin.line == 2);
  CHECK(loaded->clusters.at(0).endpoints.at(0).origin.line == 2);
  CHECK(loaded->routes.at(0).origin.line == 3);
}

TEST_CASE("a snapshot finds what it holds by name, and nothing else") {
  auto loaded = load_small_and("");
  REQUIRE(loaded);
  CHECK(loaded->find_cluster("users") == &loaded->clusters[0]);
  CHECK(loaded->find_listener("listeners.0") == &loaded->listeners[0]);
  CHECK(loaded->find_cluster("user") == nullptr);
  CHECK(loaded->find_policy("users") == nullptr);
}

TEST_CASE("a file that is a folder is refused") {
  std::string folder = config_folder("ok");
  CHECK(errors_of(load_file(folder, environment_of({}))) == folder + ": is a folder\n");
}

TEST_CASE("a source loads again what has changed in between") {
  std::map<std::string, std::string> values{{"TIDEGATE_LISTEN_ADDR", "127.0.0.1:1"}};
  Source source("", {}, [&values](const std::string& name) -> std::optional<std::string> {
    auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  });
  CHECK(source.load()->listeners.at(0).address.port == 1);
  values["TIDEGATE_LISTEN_ADDR"] = "127.0.0.1:2";
  CHECK(source.load()->listeners.at(0).address.port == 2);
}
