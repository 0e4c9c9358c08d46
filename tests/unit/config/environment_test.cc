// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "unit/config/environment_table.h"

using namespace tidegate::config;

namespace {

Loaded from(std::map<std::string, std::string> values) {
  return from_environment(environment_of(std::move(values)));
}

}  // namespace

TEST_CASE("without any variable the environment gives a working proxy") {
  auto loaded = from({});
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->listeners.at(0).address.to_string() == "127.0.0.1:8080");
  CHECK(loaded->listeners.at(0).max_connections == 10000);
  CHECK(loaded->clusters.at(0).endpoints.at(0).url == "http://127.0.0.1:3000");
  CHECK(loaded->clusters.at(0).balancer == "round_robin");
  CHECK(loaded->routes.at(0).timeout == std::chrono::seconds(30));
  CHECK(loaded->admin.address->to_string() == "127.0.0.1:9090");
  CHECK(loaded->log.level == "info");
  CHECK(loaded->source == "(environment)");
}

TEST_CASE("every variable reaches its key") {
  auto loaded = from({{"TIDEGATE_LISTEN_ADDR", "0.0.0.0:80"},
                      {"TIDEGATE_BACKEND_SERVERS", "10.0.0.1:80, http://10.0.0.2:81,"},
                      {"TIDEGATE_BACKEND_ADDR", "10.0.0.9:9"},
                      {"TIDEGATE_MAX_CONNECTIONS", "5"},
                      {"TIDEGATE_TIMEOUT_SECONDS", "7"},
                      {"TIDEGATE_ENABLE_HEALTH_CHECK", "false"},
                      {"TIDEGATE_HEALTH_CHECK_INTERVAL_SECONDS", "9"},
                      {"TIDEGATE_HEALTH_CHECK_PATH", "/up"},
                      {"TIDEGATE_LOG_LEVEL", "debug"},
                      {"TIDEGATE_METRICS_ADDR", "127.0.0.1:1"},
                      {"TIDEGATE_ENABLE_TLS", "false"},
                      {"TIDEGATE_LOAD_BALANCING_ALGORITHM", "weighted"},
                      {"TIDEGATE_PORT", "tcp://10.0.0.1:80"}});  // set by Kubernetes; not ours
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->listeners.at(0).address.to_string() == "0.0.0.0:80");
  REQUIRE(loaded->clusters.at(0).endpoints.size() == 2);
  CHECK(loaded->clusters.at(0).endpoints[1].url == "http://10.0.0.2:81");
  CHECK(loaded->clusters.at(0).balancer == "weighted");
  CHECK(loaded->listeners.at(0).max_connections == 5);
  CHECK(loaded->routes.at(0).timeout == std::chrono::seconds(7));
  CHECK(loaded->log.level == "debug");
  CHECK(loaded->admin.address->to_string() == "127.0.0.1:1");
}

TEST_CASE("an empty variable counts as not set") {
  auto loaded = from({{"TIDEGATE_BACKEND_SERVERS", ""}, {"TIDEGATE_BACKEND_ADDR", "10.0.0.9:9"}});
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->clusters.at(0).endpoints.at(0).url == "http://10.0.0.9:9");
}

TEST_CASE("ENABLE_METRICS=false turns the admin address off") {
  auto loaded = from({{"TIDEGATE_ENABLE_METRICS", "false"}});
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK_FALSE(loaded->admin.address.has_value());
}

TEST_CASE("faults in variables name the variable, all at once") {
  CHECK(
      errors_of(from({{"TIDEGATE_LISTEN_ADDR", "here"},
                      {"TIDEGATE_BACKEND_ADDR", "http://a/b"},
                      {"TIDEGATE_TIMEOUT_SECONDS", "30s"},
                      {"TIDEGATE_ENABLE_METRICS", "perhaps"},
                      {"TIDEGATE_LOG_LEVEL", "loud"}})) ==
      "TIDEGATE_TIMEOUT_SECONDS: expected a number of seconds, got '30s'\n"
      "TIDEGATE_ENABLE_METRICS: expected true or false, got 'perhaps'\n"
      "TIDEGATE_LISTEN_ADDR: listeners[0].address: expected an address such as 127.0.0.1:8080, "
      "[::1]:8080, :8080 or unix:/run/x.sock, got 'here'\n"
      "TIDEGATE_BACKEND_ADDR: clusters.default.endpoints[0]: expected an endpoint such as "
      "http://10.0.0.1:8080, got 'http://a/b': it takes no path; a route's replace_prefix can add "
      "one\n"
      "TIDEGATE_LOG_LEVEL: log.level: must be one of debug, info, warn, error, got 'loud'\n");
}

TEST_CASE("ENABLE_TLS=true takes the certificate and the key from variables") {
  const std::string folder = config_folder("ok/certificates/");
  auto loaded = from({{"TIDEGATE_ENABLE_TLS", "true"},
                      {"TIDEGATE_TLS_CERT", folder + "server.pem"},
                      {"TIDEGATE_TLS_KEY", folder + "server.key"}});
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  REQUIRE(loaded->listeners.at(0).tls);
  CHECK(loaded->listeners[0].tls->certificates.at(0).cert == folder + "server.pem");
  CHECK(loaded->listeners[0].tls->certificates[0].key == folder + "server.key");
}

TEST_CASE("ENABLE_TLS=true without files says which variables are missing") {
  CHECK(
      errors_of(from({{"TIDEGATE_ENABLE_TLS", "true"}, {"TIDEGATE_TLS_KEY", "/nowhere/a.key"}})) ==
      "TIDEGATE_TLS_CERT: is missing: TIDEGATE_ENABLE_TLS needs it, the path of a PEM file\n"
      "TIDEGATE_TLS_KEY: listeners[0].tls.certificates[0].key: private key '/nowhere/a.key' does "
      "not exist (looked for /nowhere/a.key)\n");
}

TEST_CASE("health checks are on unless told otherwise, and never the end of all service") {
  const auto usual = from({});
  REQUIRE(usual.has_value());
  REQUIRE(usual->clusters[0].health_check.has_value());
  CHECK(usual->clusters[0].health_check->path == "/health");
  CHECK(usual->clusters[0].health_check->interval == std::chrono::seconds(30));
  CHECK(usual->clusters[0].panic_threshold > 0);
  const auto own = from(
      {{"TIDEGATE_HEALTH_CHECK_INTERVAL_SECONDS", "9"}, {"TIDEGATE_HEALTH_CHECK_PATH", "/up"}});
  REQUIRE(own.has_value());
  CHECK(own->clusters[0].health_check->path == "/up");
  CHECK(own->clusters[0].health_check->interval == std::chrono::seconds(9));
  const auto off = from({{"TIDEGATE_ENABLE_HEALTH_CHECK", "false"}});
  REQUIRE(off.has_value());
  CHECK_FALSE(off->clusters[0].health_check.has_value());
  CHECK(errors_of(from({{"TIDEGATE_HEALTH_CHECK_PATH", "up"}})) ==
        "TIDEGATE_HEALTH_CHECK_PATH: clusters.default.health_check.path: expected a path such as "
        "/health or /health?deep=1, got 'up'\n");
}
