// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/shared_snapshot.h"
#include "telemetry/rate_window.h"
#include "telemetry/registry.h"

namespace tidegate::admin {

/// What the admin API looks at in a request. Texts are borrowed; an absent field is empty.
struct Request {
  std::string_view method;
  std::string_view path;  // canonical, without query
  std::string_view body;
  std::string_view host;
  std::string_view origin;
  std::string_view fetch_site;  // Sec-Fetch-Site
  std::string_view authorization;
  std::string_view accept;
};

struct Response {
  uint16_t status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct ListenerState {
  std::string name;
  std::string address;  // with the real port
};

struct ServerState {
  bool listening = false;  // all workers accept
  bool draining = false;
  size_t workers = 0;
  std::vector<ListenerState> listeners;
  bool out_of_memory = false;  // new connections are refused
};

/// One policy as loaded now.
struct PolicyState {
  std::string name;
  std::string script;
  uint64_t generation = 0;
  std::chrono::system_clock::time_point loaded_at{};  // 1970: not known
  std::vector<std::string> hooks;
  std::string error;  // why the newest version was refused; empty: it is in use
};

/// Messages, one for each fault; empty: done.
using Errors = std::vector<std::string>;

/// What the API shows and sets in motion; given by the server. All of it is called in the control
/// thread, from inside `AdminApi::handle`.
struct Sources {
  const telemetry::Registry& registry;
  const telemetry::RateWindow& rates;
  std::function<std::shared_ptr<const proxy::SharedSnapshot>()> snapshot;  // the one in use
  std::function<ServerState()> server;
  std::function<std::vector<PolicyState>()> policies;
  std::function<Errors()> reload;                                  // configuration and scripts
  std::function<Errors(const std::string& policy)> reload_policy;  // REQUIRES: it exists
  std::function<void()> drain;
  /// Returns the CPU time of each worker's longest event loop turn since the last call. Unset in
  /// release builds, which do not measure turns.
  std::function<std::vector<Duration>()> longest_turns = {};
  /// Where the API listens, whatever a reload says; unset: where the configuration in use says.
  std::optional<config::Address> bound = {};
};

/// The admin API: one call in, one answer out; no sockets. Used in the control thread.
///
/// Reading is open to whoever reaches the address. What changes state needs POST, and the admin
/// token when one is set; without a token, requests that a web page may have caused are refused.
class AdminApi {
 public:
  explicit AdminApi(Sources sources);

  Response handle(const Request& request);

 private:
  struct Call {
    const Request& request;
    std::string_view name;    // what stands for the pattern's first "*", decoded
    std::string_view second;  // and for its second
  };
  struct Entry {
    std::string_view method;   // GET serves HEAD too
    std::string_view pattern;  // "*" matches one segment, "**" several
    std::string_view doc;
    Response (AdminApi::*answer)(const Call& call);
  };
  static const std::vector<Entry>& entries();

  Response health(const Call& call);
  Response ready(const Call& call);
  Response metrics(const Call& call);
  Response status(const Call& call);
  Response policies(const Call& call);
  Response reload_policy(const Call& call);
  Response routes(const Call& call);
  Response clusters(const Call& call);
  Response drain_endpoint(const Call& call);
  Response enable_endpoint(const Call& call);
  Response breakers(const Call& call);
  Response reset_breaker(const Call& call);
  Response config(const Call& call);
  Response log_level(const Call& call);
  Response set_log_level(const Call& call);
  Response reload(const Call& call);
  Response drain(const Call& call);
  /// `call` names a cluster and an address in it; nullptr: there is no such thing.
  std::optional<upstream::ListedEndpoint> find_endpoint(const Call& call) const;
  Response not_found(std::string_view path) const;

  const Sources sources_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace tidegate::admin
