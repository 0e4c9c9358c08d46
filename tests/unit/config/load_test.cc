// SPDX-License-Identifier: Apache-2.0
#include "config/load.h"

#include <doctest/doctest.h>

#include <map>

using namespace tidegate::config;

namespace {

Environment table(std::map<std::string, std::string> values) {
  return [values](const std::string& name) -> std::optional<std::string> {
    auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

std::string errors_of(const Loaded& loaded) {
  return loaded ? std::string("(loaded)") : to_string(loaded.error());
}

constexpr const char* kSmall =
    "listeners: [{ address: 127.0.0.1:8080 }]\n"
    "clusters: { users: { endpoints: [http://10.0.0.1:80] } }\n"
    "routes: [{ cluster: users }]\n";

}  // namespace

TEST_CASE("a misspelt key is an error at its line with the nearest known key") {
  auto loaded = load_text(
      "listeners: [{ address: 127.0.0.1:8080 }]\n"
      "clusters: { users: { endpoints: [http://10.0.0.1:80] } }\n"
      "routes:\n"
      "  - clutser: users\n",
      "tidegate.yaml", table({}));
  CHECK(errors_of(loaded) ==
        "tidegate.yaml:4:5: routes[0].clutser: unknown key, did you mean 'cluster'?\n");
}

TEST_CASE("a small file gets every default") {
  auto loaded = load_text(kSmall, "tidegate.yaml", table({}));
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->listeners.at(0).name == "listeners.0");
  CHECK(loaded->listeners.at(0).origin.line == 1);
  CHECK(loaded->clusters.at(0).endpoints.at(0).address.to_string() == "10.0.0.1:80");
  CHECK(loaded->routes.at(0).name == "routes.0");
  CHECK(loaded->routes.at(0).timeout == std::chrono::seconds(30));
  CHECK(loaded->admin.address->to_string() == "127.0.0.1:9090");
}

TEST_CASE("without any variable the environment gives a working proxy") {
  auto loaded = from_environment(table({}));
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->listeners.at(0).address.to_string() == "127.0.0.1:8080");
  CHECK(loaded->clusters.at(0).endpoints.at(0).url == "http://127.0.0.1:3000");
  CHECK(loaded->source == "(environment)");
}
