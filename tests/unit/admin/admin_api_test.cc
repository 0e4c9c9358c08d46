// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_api.h"

#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "admin/gauges.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

using namespace tidegate;
using namespace tidegate::admin;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

config::Snapshot make_config() {
  config::Snapshot snapshot;
  snapshot.source = "tidegate.yaml";
  config::Cluster cluster;
  cluster.name = "users";
  cluster.endpoints.resize(2);
  cluster.breaker.emplace();
  snapshot.clusters.push_back(cluster);
  config::Route users;
  users.name = "users";
  users.match.path_prefix = "/api/users";
  users.match.methods = {"GET"};
  users.cluster = "users";
  users.policies = {"auth"};
  users.origin = {"tidegate.yaml", 12};
  snapshot.routes.push_back(users);
  config::Route health;
  health.name = "health";
  health.match.path = "/healthz";
  health.respond = config::Respond{};
  snapshot.routes.push_back(health);
  return snapshot;
}

std::shared_ptr<const proxy::SharedSnapshot> share(config::Snapshot snapshot) {
  upstream::EndpointSet endpoints(1);
  for (const char* address : {"10.0.0.1:80", "10.0.0.2:80"}) {
    auto endpoint = std::make_shared<upstream::Endpoint>();
    endpoint->address = address;
    endpoint->config.url = std::string("http://") + address;
    endpoints[0].push_back({endpoint, std::make_shared<const upstream::EndpointSettings>()});
  }
  endpoints[0][1]->healthy = false;
  endpoints[0][1]->latency_us = 1500;
  return std::make_shared<const proxy::SharedSnapshot>(std::move(snapshot), std::move(endpoints));
}

struct Fixture {
  telemetry::Registry registry;
  telemetry::RateWindow rates{registry};
  std::shared_ptr<const proxy::SharedSnapshot> snapshot = share(make_config());
  ServerState server{true, false, 2, {{"public", "127.0.0.1:8080"}}};
  std::vector<PolicyState> policies{{"auth",
                                     "scripts/auth.lua",
                                     3,
                                     std::chrono::system_clock::time_point(1s),
                                     {"on_request"},
                                     ""}};
  Errors errors;
  std::vector<std::string> calls;
  AdminApi api{{registry, rates, [this] { return snapshot; }, [this] { return server; },
                [this] { return policies; }, [this] { return called("reload"); },
                [this](const std::string& policy) { return called("reload " + policy); },
                [this] { calls.push_back("drain"); }}};

  Fixture() {
    log::redirect([](std::string_view) {});
  }
  ~Fixture() { log::redirect(nullptr); }

  Errors called(const std::string& what) {
    calls.push_back(what);
    return errors;
  }
  void set_token(const std::string& token) {
    config::Snapshot config = make_config();
    config.admin.token = token;
    snapshot = share(std::move(config));
  }
  Response ask(std::string_view method, std::string_view path, std::string_view body = {},
               std::string_view authorization = {}) {
    Request request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.host = "127.0.0.1:9090";
    request.authorization = authorization;
    return api.handle(request);
  }
  json get(std::string_view path) {
    const Response response = ask("GET", path);
    CHECK(response.status == 200);
    CHECK(response.content_type == "application/json");
    return json::parse(response.body);
  }
};

std::string header(const Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "health says yes whatever the server does") {
  server = {};
  CHECK(get("/health").at("status") == "ok");
  CHECK(ask("HEAD", "/health").status == 200);
}

TEST_CASE_FIXTURE(Fixture, "ready says no before the workers listen and while draining") {
  CHECK(get("/ready").at("ready") == true);
  server.draining = true;
  CHECK(ask("GET", "/ready").status == 503);
  CHECK(json::parse(ask("GET", "/ready").body).at("reason") == "draining");
  server = {};
  CHECK(ask("GET", "/ready").status == 503);
  CHECK(json::parse(ask("GET", "/ready").body).at("reason") == "starting");
}

TEST_CASE_FIXTURE(Fixture, "O21: ready says no while connections are refused for want of memory") {
  server.out_of_memory = true;
  CHECK(ask("GET", "/ready").status == 503);
  CHECK(json::parse(ask("GET", "/ready").body)["reason"] == "out_of_memory");
  CHECK(ask("GET", "/health").status == 200);
  server.draining = true;
  CHECK(json::parse(ask("GET", "/ready").body)["reason"] == "draining");
  server = {true, false, 2, {}};
  CHECK(ask("GET", "/ready").status == 200);
}

TEST_CASE_FIXTURE(Fixture, "O26: escapes in the names of a path stand for what they encode") {
  for (const char* address : {"10.0.0.1:80", "10.0.0.1%3A80", "%31%30.0.0.1%3a80"}) {
    const std::string path = std::string("/clusters/users/endpoints/") + address;
    CHECK(ask("POST", path + "/drain").status == 200);
    CHECK(snapshot->endpoints[0][0]->draining);
    CHECK(ask("POST", path + "/enable").status == 200);
    CHECK(!snapshot->endpoints[0][0]->draining);
  }
  CHECK(ask("POST", "/clusters/%75sers/endpoints/10.0.0.1:80/drain").status == 200);
  CHECK(ask("POST", "/breakers/%75sers/10.0.0.1%3A80/reset").status == 200);
  CHECK(ask("POST", "/policies/%61uth/reload").status == 200);
  CHECK(calls == std::vector<std::string>{"reload auth"});
}

TEST_CASE_FIXTURE(Fixture, "a cluster without a breaker has none to close") {
  config::Snapshot config = make_config();
  config.clusters[0].breaker.reset();
  snapshot = share(std::move(config));
  const Response response = ask("POST", "/breakers/users/10.0.0.1:80/reset");
  CHECK(response.status == 404);
  CHECK(response.body.find("Cluster 'users' has no breaker.") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a wrong method is told which are right") {
  const Response reload = ask("GET", "/reload");
  CHECK(reload.status == 405);
  CHECK(reload.body.find("Not with GET: use POST.") != std::string::npos);
  CHECK(ask("DELETE", "/status").body.find("Not with DELETE: use GET, HEAD.") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "O26: an encoded slash is part of a name") {
  policies[0].name = "a/b";
  CHECK(ask("POST", "/policies/a%2Fb/reload").status == 200);
  CHECK(ask("POST", "/policies/a/b/reload").status == 404);
  CHECK(ask("POST", "/policies/a%252Fb/reload").status == 404);
}

TEST_CASE_FIXTURE(Fixture, "O22: what may be read is judged by the address that is bound") {
  const auto read_as = [&](std::string_view host) {
    Request request;
    request.method = "GET";
    request.path = "/status";
    request.host = host;
    Sources sources{registry,
                    rates,
                    [this] { return snapshot; },
                    [this] { return server; },
                    [this] { return policies; },
                    [this] { return errors; },
                    [this](const std::string&) { return errors; },
                    [] {}};
    sources.bound = config::Address{"127.0.0.1", 9090, false};
    return AdminApi(sources).handle(request).status;
  };
  for (const auto& reloaded :
       {std::optional<config::Address>{}, std::optional{config::Address{"0.0.0.0", 9090, false}},
        std::optional{config::Address{"/run/admin.sock", 0, true}}}) {
    config::Snapshot config = make_config();
    config.admin.address = reloaded;
    snapshot = share(std::move(config));
    CHECK(read_as("rebound.example") == 403);
    CHECK(read_as("localhost:9090") == 200);
  }
}

TEST_CASE_FIXTURE(Fixture, "the status has the longest turns where they are measured") {
  Sources sources{registry,
                  rates,
                  [this] { return snapshot; },
                  [this] { return server; },
                  [this] { return policies; },
                  [this] { return errors; },
                  [this](const std::string&) { return errors; },
                  [] {}};
  Request request;
  request.method = "GET";
  request.path = "/status";
  request.host = "localhost:9090";
  CHECK(AdminApi(sources).handle(request).body.find("longest_turns_ms") == std::string::npos);
  sources.longest_turns = [] {
    return std::vector<Duration>{std::chrono::microseconds(1500), std::chrono::milliseconds(2)};
  };
  const std::string body = AdminApi(sources).handle(request).body;
  std::string packed;
  for (const char c : body) {
    if (c != ' ' && c != '\n') packed += c;
  }
  CHECK(packed.find("\"longest_turns_ms\":[1.5,2.0]") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "metrics come in the format that Accept prefers") {
  telemetry::WorkerMetrics(registry.add_shard()).response(200);
  const Response plain = ask("GET", "/metrics");
  CHECK(plain.content_type.starts_with("text/plain; version=0.0.4"));
  CHECK(plain.body.find("proxy_responses_total 1\n") != std::string::npos);
  Request request;
  request.method = "GET";
  request.path = "/metrics";
  request.host = "tidegate.monitoring:9090";  // scraped by name
  request.accept = "application/openmetrics-text;version=1.0.0";
  const Response open = api.handle(request);
  CHECK(open.status == 200);
  CHECK(open.content_type.starts_with("application/openmetrics-text"));
}

TEST_CASE_FIXTURE(Fixture, "status shows listeners, traffic and generations") {
  telemetry::WorkerMetrics worker(registry.add_shard());
  worker.connections_active.add(3);
  worker.requests_active.add(2);
  const json status = get("/status");
  CHECK(status.at("state") == "ready");
  CHECK(status.at("workers") == 2);
  CHECK(status.at("listeners") == json::parse(R"([{"name":"public","address":"127.0.0.1:8080"}])"));
  CHECK(status.at("connections").at("active") == 3);
  CHECK(status.at("requests").at("active") == 2);
  CHECK(status.at("requests").at("success_rate") == 1);
  CHECK(status.at("generations").at("auth") == 3);
  CHECK(status.at("config") == "tidegate.yaml");
}

TEST_CASE_FIXTURE(Fixture, "policies show their generation and why a newer version was refused") {
  policies[0].error = "auth.lua:3: unexpected symbol";
  const json listed = get("/policies").at("policies");
  REQUIRE(listed.size() == 1);
  CHECK(listed[0] == json::parse(R"({"name":"auth","script":"scripts/auth.lua","generation":3,
      "loaded_at":"1970-01-01T00:00:01.000Z","hooks":["on_request"],
      "error":"auth.lua:3: unexpected symbol"})"));
}

TEST_CASE_FIXTURE(Fixture, "routes and clusters show what is configured and how it is") {
  const json routes = get("/routes").at("routes");
  REQUIRE(routes.size() == 2);
  CHECK(routes[0].at("match") == json::parse(R"({"path_prefix":"/api/users","methods":["GET"]})"));
  CHECK(routes[0].at("cluster") == "users");
  CHECK(routes[0].at("line") == 12);
  CHECK(routes[1].at("respond") == 200);
  const json endpoints = get("/clusters").at("clusters").at(0).at("endpoints");
  CHECK(endpoints[0].at("available") == true);
  CHECK(endpoints[1].at("available") == false);
  CHECK(endpoints[1].at("latency_ms") == 1.5);
}

TEST_CASE_FIXTURE(Fixture, "the configuration is shown without the token") {
  set_token("s3cret-token");
  const Response config = ask("GET", "/config", {}, "Bearer s3cret-token");
  CHECK(config.status == 200);
  CHECK(json::parse(config.body).contains("routes"));
  CHECK(config.body.find("s3cret-token") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a reload is done once and its errors reach the asker") {
  CHECK(ask("POST", "/reload").status == 200);
  CHECK(ask("POST", "/policies/auth/reload").status == 200);
  CHECK(calls == std::vector<std::string>{"reload", "reload auth"});
  errors = {"tidegate.yaml:3: unknown key", "auth.lua:1: bad"};
  const Response refused = ask("POST", "/reload");
  CHECK(refused.status == 422);
  CHECK(refused.content_type == "application/problem+json");
  CHECK(json::parse(refused.body).at("errors") == json(errors));
  CHECK(ask("POST", "/policies/auth/reload").status == 422);
}

TEST_CASE_FIXTURE(Fixture, "an unknown policy is not reloaded") {
  for (const char* path : {"/policies/nobody/reload", "/policies//reload", "/policies/a/b/reload",
                           "/policies/reload", "/policies/auth/reload/"}) {
    CHECK_MESSAGE(ask("POST", path).status == 404, path);
  }
  CHECK(calls.empty());
}

TEST_CASE_FIXTURE(Fixture, "an unknown path is answered with what there is") {
  const Response response = ask("GET", "/nothing");
  CHECK(response.status == 404);
  CHECK(response.content_type == "application/problem+json");
  const json body = json::parse(response.body);
  CHECK(body.at("title") == "Not Found");
  std::map<std::string, std::string> paths;
  for (const auto& one : body.at("paths")) paths[one.at("path")] = one.at("method");
  CHECK(paths.at("/policies/*/reload") == "POST");
  CHECK(paths.at("/metrics") == "GET");
  CHECK(ask("GET", std::string(5000, '\xff')).status == 404);
}

TEST_CASE_FIXTURE(Fixture, "a wrong method is told the right ones") {
  CHECK(ask("POST", "/status").status == 405);
  CHECK(header(ask("POST", "/status"), "allow") == "GET, HEAD");
  CHECK(header(ask("GET", "/reload"), "allow") == "POST");
  CHECK(header(ask("HEAD", "/reload"), "allow") == "POST");
  CHECK(header(ask("DELETE", "/log-level"), "allow") == "GET, HEAD, POST");
  CHECK(calls.empty());
}

TEST_CASE_FIXTURE(Fixture, "O15: with a token set, changes and reads need it") {
  set_token("s3cret");
  for (const char* path : {"/reload", "/policies/auth/reload", "/drain", "/log-level"}) {
    const Response refused = ask("POST", path, {}, "Bearer wrong");
    CHECK(refused.status == 401);
    CHECK(header(refused, "www-authenticate").starts_with("Bearer"));
  }
  CHECK(calls.empty());
  CHECK(ask("POST", "/reload", {}, "Bearer s3cret").status == 200);
  CHECK(calls.size() == 1);
  for (const char* path : {"/status", "/config", "/policies", "/clusters", "/log-level"}) {
    CHECK(ask("GET", path).status == 401);
    CHECK(ask("HEAD", path).status == 401);
    CHECK(ask("GET", path, {}, "Bearer s3cret").status == 200);
  }
  for (const char* path : {"/health", "/ready", "/metrics"}) CHECK(ask("GET", path).status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a web page's request changes nothing") {
  Request request;
  request.method = "POST";
  request.path = "/drain";
  request.host = "127.0.0.1:9090";
  request.origin = "http://evil.example";
  CHECK(api.handle(request).status == 403);
  request.origin = "";
  request.host = "rebound.example:9090";
  CHECK(api.handle(request).status == 403);
  request.method = "GET";
  request.path = "/config";
  CHECK(api.handle(request).status == 403);
  request.path = "/health";
  CHECK(api.handle(request).status == 200);
  CHECK(calls.empty());
}

TEST_CASE_FIXTURE(Fixture, "the log level is shown and set") {
  CHECK(get("/log-level").at("level") == "info");
  CHECK(ask("POST", "/log-level", R"({"level":"debug"})").status == 200);
  CHECK(log::enabled(log::Level::Debug));
  CHECK(get("/log-level").at("level") == "debug");
  log::set_level(log::Level::Info);
  for (const char* body :
       {"", "debug", "{}", R"({"level":7})", R"({"level":"loud"})", "[", "[1]"}) {
    CHECK_MESSAGE(ask("POST", "/log-level", body).status == 400, body);
  }
  CHECK(log::level() == log::Level::Info);
}

TEST_CASE_FIXTURE(Fixture, "a drain is accepted") {
  CHECK(ask("POST", "/drain").status == 202);
  CHECK(calls == std::vector<std::string>{"drain"});
}

TEST_CASE_FIXTURE(Fixture, "metrics show the endpoints' health and the number of workers") {
  add_gauges(
      registry, [this] { return snapshot; }, 4);
  const std::string text = ask("GET", "/metrics").body;
  const auto has = [&](const char* line) { return text.find(line) != std::string::npos; };
  CHECK(has("proxy_workers 4\n"));
  CHECK(has("proxy_endpoint_healthy{cluster=\"users\",endpoint=\"10.0.0.1:80\"} 1\n"));
  CHECK(has("proxy_endpoint_healthy{cluster=\"users\",endpoint=\"10.0.0.2:80\"} 0\n"));
}
