// SPDX-License-Identifier: Apache-2.0
#include "admin/views.h"

#include <unistd.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "telemetry/log.h"
#include "telemetry/wall_clock.h"

namespace tidegate::admin {
namespace {

using nlohmann::ordered_json;
using telemetry::Family;

std::string rfc3339(std::chrono::system_clock::time_point time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  return std::string(telemetry::TimestampText().at(ms.count()));
}

uint64_t total(const telemetry::Registry& registry, Family family) {
  const double sum = registry.sum(family);
  return sum > 0 ? static_cast<uint64_t>(sum) : 0;
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

ordered_json view_of_match(const config::Match& match) {
  ordered_json view = ordered_json::object();
  if (!match.hosts.empty()) view["hosts"] = match.hosts;
  if (!match.path.empty()) view["path"] = match.path;
  if (!match.path_prefix.empty()) view["path_prefix"] = match.path_prefix;
  if (!match.methods.empty()) view["methods"] = match.methods;
  if (!match.headers.empty()) view["headers"] = match.headers;
  if (!match.listener.empty()) view["listener"] = match.listener;
  return view;
}

void add_action(const config::Route& route, ordered_json& to) {
  if (route.respond) {
    to["respond"] = route.respond->status;
  } else if (route.redirect) {
    to["redirect"] = route.redirect->to;
  } else if (route.echo) {
    to["echo"] = true;
  } else {
    to["cluster"] = route.cluster;
  }
}

void add_certificates(const proxy::SharedSnapshot& snapshot, const std::string& listener,
                      ordered_json& to) {
  for (size_t i = 0; i < snapshot.tls.listeners.size(); ++i) {
    if (snapshot.tls.listeners[i] == nullptr) continue;
    if (snapshot.config.listeners[i].name != listener) continue;
    for (const auto& one : snapshot.tls.listeners[i]->loaded()) {
      const auto expires =
          std::chrono::system_clock::from_time_t(static_cast<time_t>(one.certificate.not_after));
      to["certificates"].push_back({{"cert", one.path},
                                    {"subject", one.certificate.subject},
                                    {"names", one.certificate.names},
                                    {"expires", rfc3339(expires)}});
    }
  }
}

std::string_view state_of(const ServerState& server) {
  if (server.draining) return "draining";
  return server.listening ? "ready" : "starting";
}

}  // namespace

ordered_json view_of_status(const Sources& sources, Duration uptime) {
  const ServerState server = sources.server();
  const telemetry::Registry& registry = sources.registry;
  ordered_json listeners = ordered_json::array();
  const auto snapshot = sources.snapshot();
  for (const ListenerState& listener : server.listeners) {
    ordered_json view{{"name", listener.name}, {"address", listener.address}};
    add_certificates(*snapshot, listener.name, view);
    listeners.push_back(std::move(view));
  }
  ordered_json policies = ordered_json::object();
  for (const PolicyState& policy : sources.policies()) policies[policy.name] = policy.generation;
  ordered_json status{{"state", state_of(server)},
                      {"version", TIDEGATE_VERSION},
                      {"pid", ::getpid()},
                      {"uptime_s", seconds(uptime)},
                      {"config", sources.snapshot()->config.source},
                      {"log_level", log::to_string(log::level())},
                      {"workers", server.workers},
                      {"listeners", listeners},
                      {"connections",
                       {{"active", total(registry, Family::ClientConnectionsActive)},
                        {"total", total(registry, Family::ClientConnectionsTotal)},
                        {"backend_active", total(registry, Family::BackendConnectionsActive)}}},
                      {"requests",
                       {{"active", total(registry, Family::RequestsActive)},
                        {"total", total(registry, Family::RequestsTotal)},
                        {"errors", total(registry, Family::ErrorsTotal)},
                        {"per_second", sources.rates.requests_per_second()},
                        {"success_rate", sources.rates.success_rate()}}},
                      {"generations", policies}};
  if (sources.longest_turns) {
    for (const Duration turn : sources.longest_turns()) {
      status["longest_turns_ms"].push_back(seconds(turn) * 1000);
    }
  }
  return status;
}

ordered_json view_of_policies(const std::vector<PolicyState>& policies) {
  ordered_json list = ordered_json::array();
  for (const PolicyState& policy : policies) {
    ordered_json one{
        {"name", policy.name}, {"script", policy.script}, {"generation", policy.generation}};
    if (policy.loaded_at != decltype(policy.loaded_at){}) {
      one["loaded_at"] = rfc3339(policy.loaded_at);
    }
    if (!policy.hooks.empty()) one["hooks"] = policy.hooks;
    if (!policy.error.empty()) one["error"] = policy.error;
    list.push_back(std::move(one));
  }
  return {{"policies", std::move(list)}};
}

ordered_json view_of_routes(const config::Snapshot& snapshot) {
  ordered_json list = ordered_json::array();
  for (const config::Route& route : snapshot.routes) {
    ordered_json one{{"name", route.name}, {"match", view_of_match(route.match)}};
    add_action(route, one);
    one["policies"] = route.policies;
    one["file"] = route.origin.file;
    one["line"] = route.origin.line;
    list.push_back(std::move(one));
  }
  return {{"routes", std::move(list)}};
}

ordered_json view_of_endpoint(const upstream::ListedEndpoint& listed) {
  constexpr double kMicrosecondsPerMillisecond = 1000;
  const upstream::Endpoint& endpoint = *listed;
  return {{"address", endpoint.address},
          {"url", endpoint.config.url},
          {"weight", listed.settings->weight},
          {"tags", listed.settings->tags},
          {"available", endpoint.available(std::chrono::steady_clock::now())},
          {"healthy", endpoint.healthy.load(std::memory_order_relaxed)},
          {"draining", endpoint.draining.load(std::memory_order_relaxed)},
          {"breaker", to_string(endpoint.breaker.state())},
          {"active", endpoint.active.load(std::memory_order_relaxed)},
          {"latency_ms",
           endpoint.latency_us.load(std::memory_order_relaxed) / kMicrosecondsPerMillisecond}};
}

ordered_json view_of_breaker(const upstream::Endpoint& endpoint) {
  const upstream::Breaker& breaker = endpoint.breaker;
  const TimePoint now = std::chrono::steady_clock::now();
  ordered_json view{{"endpoint", endpoint.address},
                    {"state", to_string(breaker.state())},
                    {"failures", breaker.failures()},
                    {"opened", breaker.opened()}};
  if (const auto failure = breaker.last_failure()) {
    view["last_failure"] = failure->to_string();
    view["last_failure_ago_s"] = seconds(now - breaker.last_failure_at());
  }
  if (breaker.state() == upstream::Breaker::State::Open) {
    view["open_for_s"] = std::max(0.0, seconds(breaker.open_until() - now));
  }
  return view;
}

ordered_json view_of_breakers(const proxy::SharedSnapshot& snapshot) {
  ordered_json list = ordered_json::array();
  for (size_t i = 0; i < snapshot.config.clusters.size(); ++i) {
    if (!snapshot.config.clusters[i].breaker) continue;
    ordered_json breakers = ordered_json::array();
    for (const auto& endpoint : snapshot.endpoints[i]) {
      breakers.push_back(view_of_breaker(*endpoint));
    }
    list.push_back({{"cluster", snapshot.config.clusters[i].name}, {"breakers", breakers}});
  }
  return {{"clusters", std::move(list)}};
}

ordered_json view_of_clusters(const proxy::SharedSnapshot& snapshot) {
  ordered_json list = ordered_json::array();
  for (size_t i = 0; i < snapshot.config.clusters.size(); ++i) {
    const config::Cluster& cluster = snapshot.config.clusters[i];
    ordered_json endpoints = ordered_json::array();
    for (const auto& endpoint : snapshot.endpoints[i]) {
      endpoints.push_back(view_of_endpoint(endpoint));
    }
    list.push_back({{"name", cluster.name},
                    {"balancer", cluster.balancer},
                    {"endpoints", std::move(endpoints)}});
  }
  return {{"clusters", std::move(list)}};
}

}  // namespace tidegate::admin
