// SPDX-License-Identifier: Apache-2.0
#include "config/overlay.h"

#include <doctest/doctest.h>

#include "unit/config/environment_table.h"

using namespace tidegate::config;

namespace {

const std::string kMinimal = config_folder("ok/minimal.yaml");
const std::string kScript = config_folder("ok/scripts/policy.lua");

Loaded with(Overrides overrides, const std::string& file = kMinimal) {
  return Source(file, std::move(overrides), environment_of({{"LIMIT", "12"}})).load();
}

Loaded with_sets(std::vector<std::string> sets) {
  return with({"", {}, {}, std::move(sets)});
}

}  // namespace

TEST_CASE("--set changes, adds and replaces keys") {
  auto loaded = with_sets({
      "listeners.0.max_connections=5",
      "clusters.users.pool.idle_timeout=5s",
      "clusters.orders.endpoints.0=http://10.0.0.7",
      "routes.1={ match: { path: /x }, cluster: orders }",
      "log.access=off",
      "drain_timeout=${LIMIT}s",
  });
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->listeners.at(0).max_connections == 5);
  CHECK(loaded->find_cluster("users")->pool.idle_timeout == std::chrono::seconds(5));
  CHECK(loaded->find_cluster("orders")->endpoints.at(0).url == "http://10.0.0.7");
  CHECK(loaded->routes.at(1).match.path == "/x");
  CHECK(loaded->log.access == AccessLogTarget::Off);
  CHECK(loaded->drain_timeout == std::chrono::seconds(12));
}

TEST_CASE("a later --set wins") {
  auto loaded = with_sets({"listeners.0.max_connections=5", "listeners.0.max_connections=6"});
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->listeners.at(0).max_connections == 6);
}

TEST_CASE("faults of --set name the flag") {
  CHECK(
      errors_of(with_sets({"nonsense", "=1", "a..b=1", "listeners.7.name=x",
                           "listeners.first.name=x", "routes.0.cluster.name=x", "log=[}",
                           "routes.0.clutser=x", "workers=${NOT_SET}"})) ==
      "--set nonsense: expected key=value, as in --set listeners.0.max_connections=5\n"
      "--set =: expected key=value, as in --set listeners.0.max_connections=5\n"
      "--set a..b: a..b: an empty name in its path\n"
      "--set listeners.7.name: listeners.7.name: '7' is not an element of this list of 1\n"
      "--set listeners.first.name: listeners.first.name: 'first' is not an element of this list "
      "of 1\n"
      "--set routes.0.cluster.name: routes.0.cluster.name: 'name' leads into a value, not a "
      "mapping or list\n"
      "--set log: not valid YAML: illegal flow end\n"
      "--set workers: environment variable 'NOT_SET' is not set: set it, or give a "
      "default as ${NOT_SET:-default}\n"
      "--set routes.0.clutser: routes[0].clutser: unknown key, did you mean 'cluster'?\n");
}

TEST_CASE("--listen sets the first listener's address") {
  auto loaded = with({":7001", {}, {}, {}});
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->listeners.at(0).address.to_string() == "0.0.0.0:7001");
  CHECK(errors_of(with({"here", {}, {}, {}})) ==
        "--listen here: listeners[0].address: expected an address such as 127.0.0.1:8080, "
        "[::1]:8080, :8080 or unix:/run/x.sock, got 'here'\n");
}

TEST_CASE("--upstream replaces the endpoints of the only cluster") {
  auto loaded = with({"", {"10.0.0.5:81", "http://10.0.0.6"}, {}, {}});
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->clusters.at(0).endpoints.at(0).url == "http://10.0.0.5:81");
  CHECK(loaded->clusters.at(0).endpoints.at(1).address.to_string() == "10.0.0.6:80");
  auto several =
      with({"", {"10.0.0.5:81"}, {}, {}}, config_folder("ok/anchors_and_merge_keys.yaml"));
  CHECK(errors_of(several) ==
        "--upstream 10.0.0.5:81: needs a config with exactly one cluster: use --set "
        "clusters.NAME.endpoints=[URL] instead\n");
}

TEST_CASE("--policy adds a policy named after its script to every route") {
  auto loaded = with({"", {}, {kScript}, {"policies.policy.options.a=1"}});
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->policies.at(0).name == "policy");
  CHECK(loaded->policies.at(0).script == kScript);
  CHECK(loaded->policies.at(0).options_json == "{\"a\":1}");
  CHECK(loaded->routes.at(0).policies == std::vector<std::string>{"policy"});
}

TEST_CASE("a script that --policy names and is not there is refused by the flag's name") {
  CHECK(
      errors_of(with({"", {}, {"/nowhere/a.lua"}, {}})) ==
      "--policy /nowhere/a.lua: policies.a.script: script '/nowhere/a.lua' does not exist (looked "
      "for /nowhere/a.lua)\n");
}
