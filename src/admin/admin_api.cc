// SPDX-License-Identifier: Apache-2.0
#include "admin/admin_api.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "admin/access.h"
#include "admin/views.h"
#include "base/strings.h"
#include "config/dump.h"
#include "http/message.h"
#include "telemetry/exposition.h"
#include "telemetry/log.h"

namespace tidegate::admin {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kNoEndpoint = "There is no such endpoint: /clusters lists them.";

Response json(const ordered_json& body, uint16_t status = 200) {
  Response response;
  response.status = status;
  response.body = body.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  // Answers change from moment to moment.
  response.headers.emplace_back("cache-control", "no-store");
  return response;
}

/// RFC 9457. `more` adds members of our own.
Response problem(uint16_t status, std::string_view detail,
                 const ordered_json& more = ordered_json::object()) {
  ordered_json body{{"type", "about:blank"},
                    {"title", http::reason_phrase(status)},
                    {"status", status},
                    {"detail", detail}};
  body.update(more);
  Response response = json(body, status);
  response.content_type = "application/problem+json";
  return response;
}

/// Puts what of `path` stands for the stars of `pattern` into `names`; false: no match.
bool match(std::string_view pattern, std::string_view path, std::vector<std::string_view>& names) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return path == pattern;
  if (!path.starts_with(pattern.substr(0, star))) return false;
  path.remove_prefix(star);
  const bool several = pattern.substr(star).starts_with("**");
  const std::string_view rest = pattern.substr(star + (several ? 2 : 1));
  const bool last = rest.find('*') == std::string_view::npos;
  if (last && !path.ends_with(rest)) return false;
  const std::string_view name = path.substr(0, last ? path.size() - rest.size() : path.find('/'));
  if (name.empty() || (!several && name.find('/') != std::string_view::npos)) return false;
  names.push_back(name);
  return last || match(rest, path.substr(name.size()), names);
}

/// With escapes replaced by what they stand for. The path is canonical, so none is broken.
std::string decode(std::string_view name) {
  std::string text;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '%' || i + 2 >= name.size()) {
      text += name[i];
      continue;
    }
    text += static_cast<char>(hex_value(name[i + 1]) * 16 + hex_value(name[i + 2]));
    i += 2;
  }
  return text;
}

/// GET also serves HEAD; the sender leaves the body out.
bool serves(std::string_view entry_method, std::string_view method) {
  return entry_method == method || (entry_method == "GET" && method == "HEAD");
}

/// Open to all, even where a page may be asking: they tell nothing of use to it.
bool is_public(std::string_view pattern) {
  return pattern == "/health" || pattern == "/ready" || pattern == "/metrics";
}

Response refuse(Access access, const Request& request) {
  log::log_limited("admin_refused", log::Level::Warn, "admin request refused",
                   {{"method", request.method}, {"path", request.path}, {"host", request.host}});
  if (access == Access::WebPage) {
    return problem(403,
                   "A web page may have caused this request. Ask by IP address or localhost, "
                   "without an Origin of another site, or set admin.token and send it.");
  }
  Response response = problem(401, "This needs the admin token: Authorization: Bearer TOKEN.");
  response.headers.emplace_back("www-authenticate", "Bearer realm=\"tidegate admin\"");
  return response;
}

Response outcome_of_reload(const Errors& errors) {
  if (errors.empty()) return json({{"reloaded", true}});
  return problem(422, "Refused; what was in use before is still in use.", {{"errors", errors}});
}

}  // namespace

AdminApi::AdminApi(Sources sources) : sources_(std::move(sources)) {}

const std::vector<AdminApi::Entry>& AdminApi::entries() {
  static const std::vector<Entry> the_entries{
      {"GET", "/health", "the process is alive", &AdminApi::health},
      {"GET", "/ready", "200 while it takes connections, else 503", &AdminApi::ready},
      {"GET", "/metrics", "Prometheus or OpenMetrics text", &AdminApi::metrics},
      {"GET", "/status", "version, listeners, traffic", &AdminApi::status},
      {"GET", "/policies", "policies and their generations", &AdminApi::policies},
      {"POST", "/policies/*/reload", "load one policy's script anew", &AdminApi::reload_policy},
      {"GET", "/routes", "routes, in the order of the file", &AdminApi::routes},
      {"GET", "/clusters", "clusters and their endpoints' state", &AdminApi::clusters},
      {"POST", "/clusters/*/endpoints/**/drain", "give an endpoint nothing new",
       &AdminApi::drain_endpoint},
      {"POST", "/clusters/*/endpoints/**/enable", "use it again", &AdminApi::enable_endpoint},
      {"GET", "/breakers", "breakers of the endpoints", &AdminApi::breakers},
      {"POST", "/breakers/*/**/reset", "close one: /breakers/CLUSTER/ADDRESS/reset",
       &AdminApi::reset_breaker},
      {"GET", "/config", "the configuration in use, secrets masked", &AdminApi::config},
      {"GET", "/log-level", "level of the operational log", &AdminApi::log_level},
      {"POST", "/log-level", "set it: {\"level\": \"debug\"}", &AdminApi::set_log_level},
      {"POST", "/reload", "load configuration and scripts anew", &AdminApi::reload},
      {"POST", "/drain", "accept nothing new, finish what runs, end", &AdminApi::drain},
  };
  return the_entries;
}

Response AdminApi::handle(const Request& request) {
  std::string allowed;
  for (const Entry& entry : entries()) {
    std::vector<std::string_view> names;
    if (!match(entry.pattern, request.path, names)) continue;
    if (!serves(entry.method, request.method)) {
      if (!allowed.empty()) allowed += ", ";
      allowed += entry.method == "GET" ? "GET, HEAD" : std::string(entry.method);
      continue;
    }
    config::Admin admin = sources_.snapshot()->config.admin;
    if (sources_.bound) admin.address = sources_.bound;
    Access access = Access::Granted;
    if (entry.method == "POST") {
      access = may_change(request, admin);
    } else if (!is_public(entry.pattern)) {
      access = may_read(request, admin);
    }
    if (access != Access::Granted) return refuse(access, request);
    // Only now, so that an encoded slash is part of a name.
    std::array<std::string, 2> decoded;
    for (size_t i = 0; i < names.size(); ++i) decoded[i] = decode(names[i]);
    return (this->*entry.answer)({request, decoded[0], decoded[1]});
  }
  if (allowed.empty()) return not_found(request.path);
  Response response =
      problem(405, "Not with " + std::string(request.method) + ": use " + allowed + ".");
  response.headers.emplace_back("allow", allowed);
  return response;
}

Response AdminApi::not_found(std::string_view path) const {
  ordered_json known = ordered_json::array();
  for (const Entry& entry : entries()) {
    known.push_back(
        {{"method", entry.method}, {"path", entry.pattern}, {"description", entry.doc}});
  }
  return problem(404, "There is no " + std::string(path.substr(0, 100)) + " here.",
                 {{"paths", std::move(known)}});
}

Response AdminApi::health(const Call&) {
  return json({{"status", "ok"}, {"version", TIDEGATE_VERSION}});
}

Response AdminApi::ready(const Call&) {
  const ServerState server = sources_.server();
  const char* reason = server.draining        ? "draining"
                       : !server.listening    ? "starting"
                       : server.out_of_memory ? "out_of_memory"
                                              : nullptr;
  if (reason == nullptr) return json({{"ready", true}});
  return json({{"ready", false}, {"reason", reason}}, 503);
}

Response AdminApi::metrics(const Call& call) {
  telemetry::Exposition text = telemetry::expose(sources_.registry, call.request.accept);
  return {200, std::string(text.content_type), std::move(text.body), {}};
}

Response AdminApi::status(const Call&) {
  return json(view_of_status(sources_, std::chrono::steady_clock::now() - started_));
}

Response AdminApi::policies(const Call&) {
  return json(view_of_policies(sources_.policies()));
}

Response AdminApi::reload_policy(const Call& call) {
  const auto policies = sources_.policies();
  const bool known = std::any_of(policies.begin(), policies.end(),
                                 [&](const PolicyState& one) { return one.name == call.name; });
  if (!known) return problem(404, "There is no policy of that name.");
  return outcome_of_reload(sources_.reload_policy(std::string(call.name)));
}

Response AdminApi::routes(const Call&) {
  return json(view_of_routes(sources_.snapshot()->config));
}

Response AdminApi::clusters(const Call&) {
  return json(view_of_clusters(*sources_.snapshot()));
}

std::optional<upstream::ListedEndpoint> AdminApi::find_endpoint(const Call& call) const {
  const auto snapshot = sources_.snapshot();
  const auto& clusters = snapshot->config.clusters;
  const auto cluster = std::ranges::find(clusters, call.name, &config::Cluster::name);
  if (cluster == clusters.end()) return std::nullopt;
  for (const auto& endpoint :
       snapshot->endpoints[static_cast<size_t>(cluster - clusters.begin())]) {
    if (endpoint->address == call.second) return endpoint;
  }
  return std::nullopt;
}

Response AdminApi::drain_endpoint(const Call& call) {
  const auto found = find_endpoint(call);
  if (!found) return problem(404, kNoEndpoint);
  const upstream::ListedEndpoint& endpoint = *found;
  if (endpoint->set_draining(true, std::chrono::steady_clock::now())) {
    log::info("endpoint drains", {{"cluster", call.name}, {"endpoint", endpoint->address}});
  }
  return json(view_of_endpoint(endpoint));
}

Response AdminApi::enable_endpoint(const Call& call) {
  const auto found = find_endpoint(call);
  if (!found) return problem(404, kNoEndpoint);
  const upstream::ListedEndpoint& endpoint = *found;
  if (endpoint->set_draining(false, std::chrono::steady_clock::now())) {
    log::info("endpoint enabled", {{"cluster", call.name}, {"endpoint", endpoint->address}});
  }
  return json(view_of_endpoint(endpoint));
}

Response AdminApi::breakers(const Call&) {
  return json(view_of_breakers(*sources_.snapshot()));
}

Response AdminApi::reset_breaker(const Call& call) {
  const auto found = find_endpoint(call);
  if (!found) return problem(404, kNoEndpoint);
  for (const config::Cluster& cluster : sources_.snapshot()->config.clusters) {
    if (cluster.name != call.name || cluster.breaker) continue;
    return problem(404, "Cluster '" + cluster.name + "' has no breaker.");
  }
  const upstream::ListedEndpoint& endpoint = *found;
  if (endpoint->reset_breaker(std::chrono::steady_clock::now())) {
    log::info("breaker reset", {{"cluster", call.name}, {"endpoint", endpoint->address}});
  }
  return json(view_of_breaker(*endpoint));
}

Response AdminApi::config(const Call&) {
  return json(ordered_json::parse(config::dump_json(sources_.snapshot()->config)));
}

Response AdminApi::log_level(const Call&) {
  return json({{"level", log::to_string(log::level())}});
}

Response AdminApi::set_log_level(const Call& call) {
  const auto body = ordered_json::parse(call.request.body, nullptr, false);
  const bool named = body.is_object() && body.contains("level") && body["level"].is_string();
  const auto level =
      named ? log::parse_level(body["level"].get_ref<const std::string&>()) : std::nullopt;
  if (!level.has_value()) {
    return problem(400, "The body must be {\"level\": \"debug\"}, or info, warn or error.");
  }
  log::set_level(*level);
  log::write(log::Level::Info, "log level changed", {{"log_level", log::to_string(*level)}});
  return log_level(call);
}

Response AdminApi::reload(const Call&) {
  return outcome_of_reload(sources_.reload());
}

Response AdminApi::drain(const Call&) {
  sources_.drain();
  return json({{"draining", true}}, 202);
}

}  // namespace tidegate::admin
