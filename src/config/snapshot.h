// SPDX-License-Identifier: Apache-2.0
// The validated configuration as plain structs. A Snapshot is immutable once built; every exchange
// pins the one it began with. Field names are those of the config file.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "config/balancing.h"
#include "config/breaker.h"
#include "config/health_check.h"
#include "config/limits.h"
#include "config/no_proxy.h"

namespace tidegate::config {

/// Where in which file something was written; for messages after parsing.
struct Origin {
  std::string file;
  int line = 0;
};

struct Address {
  std::string host;  // literal IP (without brackets), name, or path when unix
  uint16_t port = 0;
  bool is_unix = false;
  std::string to_string() const;  // "127.0.0.1:8080", "[::1]:80", "unix:/run/x.sock"
  bool operator==(const Address&) const = default;
};

/// HTTP/2 towards clients.
struct Http2 {
  bool enabled = true;
  uint32_t max_concurrent_streams = 100;
  uint32_t stream_window = 256 * 1024;
  uint32_t connection_window = 1024 * 1024;
};

struct Certificate {
  std::string cert;  // absolute path
  std::string key;   // absolute path
  Origin origin;
};

enum class ClientVerify : uint8_t { Require, Optional };

struct ListenerTls {
  std::vector<Certificate> certificates;  // at least one
  std::string client_ca;                  // absolute path; empty: clients are not asked
  ClientVerify client_verify = ClientVerify::Require;
  std::string min_version = "1.2";
  Duration handshake_timeout = std::chrono::seconds(10);
  Origin origin;
};

/// How a client that half-closes its connection while it waits for an answer is treated.
enum class HalfClose : uint8_t { Wait, Abort };
/// The Via field of requests and responses.
enum class Via : uint8_t { Off, Add };

struct Listener {
  std::string name;
  Address address;
  std::optional<uint32_t> permissions;  // of a unix socket's file; absent: as the umask leaves them
  std::optional<ListenerTls> tls;       // absent: cleartext
  std::vector<Cidr> trusted_proxies;
  bool trust_unix = false;  // `unix` among trusted_proxies
  bool proxy_protocol = false;
  uint32_t max_connections = 10000;
  Duration head_timeout = std::chrono::seconds(10);  // first byte of a request to its full head
  Duration idle_timeout = std::chrono::seconds(75);  // keep-alive between requests
  Duration body_timeout = std::chrono::seconds(60);  // between two reads of a body
  uint64_t body_min_rate = 240;                      // bytes per second over body_timeout; 0: off
  uint64_t max_requests = 0;                         // per connection; 0: unlimited
  uint32_t max_request_line = 8 * 1024;
  uint32_t max_header_bytes = 64 * 1024;
  uint32_t max_header_count = 100;
  bool underscores_in_headers = false;
  bool merge_slashes = true;
  HalfClose client_half_close = HalfClose::Wait;
  Via via = Via::Off;
  Http2 http2;
  Origin origin;
};

struct Endpoint {
  std::string url;     // as written
  std::string scheme;  // "http", "https"
  Address address;
  uint32_t weight = 1;
  std::map<std::string, std::string> tags;
  Origin origin;
};

struct Pool {
  uint32_t max_connections = 0;  // per endpoint and worker; 0: unlimited
  Duration idle_timeout = std::chrono::seconds(60);
  uint32_t max_pending = 1024;  // requests waiting for a connection, per endpoint and worker
  Duration pending_timeout = Duration::zero();  // wait for a connection; 0: the route's timeout
  uint64_t max_requests = 0;                    // per connection; 0: unlimited
  Duration ping_interval = Duration::zero();    // of silence with streams open; 0: no pings
};

enum class DnsType : uint8_t { A, Srv };
/// Which of a name's addresses are endpoints; of PreferV4 those of IPv6 only without any of IPv4.
enum class DnsFamily : uint8_t { Any, V4, V6, PreferV4 };

/// Endpoints from DNS.
struct Dns {
  std::string name;
  uint16_t port = 0;  // of type a
  DnsType type = DnsType::A;
  DnsFamily family = DnsFamily::Any;
  std::string scheme = "http";
  Duration min_refresh = std::chrono::seconds(1);
  Duration max_refresh = std::chrono::minutes(5);
  bool operator==(const Dns&) const = default;
};

/// Who answers DNS.
struct Resolver {
  std::vector<std::string> servers;  // "address:port"; empty: the system's
  Duration timeout = std::chrono::seconds(2);
  uint32_t attempts = 2;
  bool operator==(const Resolver&) const = default;
};

struct ClusterTls {
  bool verify = true;
  std::string ca;    // absolute path; empty: the system's
  std::string sni;   // empty: the host of the endpoint's URL
  std::string cert;  // absolute path; empty: none
  std::string key;   // absolute path
  Origin origin;
};

/// An HTTP proxy on the way to origins.
struct OutboundProxy {
  Address address;
  std::string authorization;  // value of Proxy-Authorization; empty: none
  bool operator==(const OutboundProxy&) const = default;
};

struct Cluster {
  std::string name;
  // exactly one of the three:
  std::vector<Endpoint> endpoints;  // also those that `file` held when it was read
  std::optional<Dns> dns;
  std::string file;  // absolute path

  std::string balancer = "round_robin";
  std::optional<HashOn> hash_on;           // none: client_ip
  std::optional<double> hash_load_factor;  // 1.25: a quarter over the even share; none: no bound
  std::optional<Locality> locality;
  Duration slow_start = Duration::zero();   // zero: none
  std::optional<HealthCheck> health_check;  // none: every endpoint counts as healthy
  std::optional<Breaker> breaker;           // none: no endpoint is ever ejected
  double panic_threshold = 0;               // healthy share below which all are used; 0: never
  std::string protocol = "auto";            // h1, h2, auto
  Duration connect_timeout = std::chrono::seconds(5);
  ClusterLimits limits;
  Retry retry;
  Pool pool;
  uint32_t max_response_header_bytes = 64 * 1024;
  uint32_t max_response_header_count = 100;
  ClusterTls tls;                     // of its https endpoints
  std::string outbound_proxy;         // as written: a URL, `environment`, or empty
  int proxy_protocol = 0;             // version of the header that connections begin with; 0: none
  bool outbound_tunnel = false;       // CONNECT for http endpoints too
  std::vector<std::string> no_proxy;  // as written
  // what those stand for; by the endpoint's scheme
  std::optional<OutboundProxy> http_proxy;
  std::optional<OutboundProxy> https_proxy;
  NoProxy direct;
  Origin origin;
};

struct Budget {
  Duration cpu = std::chrono::milliseconds(10);
  uint64_t memory = 16 * 1024 * 1024;
  Duration time = std::chrono::seconds(10);
};

enum class OnError : uint8_t { Closed, Open };
/// Whether a policy may share its Lua VM with other policies of its script.
enum class Isolation : uint8_t { Shared, Own };

/// Free-form YAML below `options`, kept as JSON text so that this struct needs no parser's types.
struct Policy {
  std::string name;
  std::string script;  // absolute path
  std::string options_json = "{}";
  Budget budget;
  OnError on_error = OnError::Closed;
  std::vector<std::string> env;
  std::vector<std::string> clusters;  // that it may change
  bool jit = false;
  bool trusted = false;
  Isolation isolation = Isolation::Shared;
  Origin origin;
};

struct Match {
  std::vector<std::string> hosts;              // lower case; exact or "*.suffix"; empty: any
  std::string path;                            // exact; empty: not given
  std::string path_prefix;                     // empty: not given
  std::vector<std::string> methods;            // empty: any
  std::map<std::string, std::string> headers;  // lower-case name -> exact value
  std::string listener;                        // empty: any
  bool operator==(const Match&) const = default;
};

struct Respond {
  uint16_t status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  std::map<std::string, std::string> headers;
};

struct Redirect {
  std::string to;  // URL or absolute path; {path} and {query} stand for the request's
  uint16_t status = 308;
};

enum class HostMode : uint8_t { Origin, Preserve, Literal };

struct Route {
  std::string name;
  Match match;
  // exactly one of the four:
  std::string cluster;
  std::optional<Respond> respond;
  std::optional<Redirect> redirect;
  bool echo = false;

  bool strip_prefix = false;
  std::string replace_prefix;  // put in place of what strip_prefix took; empty: nothing
  HostMode host_mode = HostMode::Preserve;
  std::string host;                                  // when Literal
  Duration timeout = std::chrono::seconds(30);       // to the response head
  Duration idle_timeout = std::chrono::seconds(60);  // no byte either way
  Duration exchange_timeout = Duration::zero();      // whole exchange; 0: unlimited
  std::string deadline_header;        // tells the origin what time is left; lower case
  std::vector<std::string> policies;  // default_policies first, resolved
  std::vector<std::string> limits;    // by name, in order
  uint64_t max_requests = 0;          // under way at once; 0: unlimited
  uint64_t max_requests_per_client = 0;
  uint64_t max_body = 0;  // 0: unlimited
  bool allow_encoded_slashes = false;
  bool allow_connect = false;
  Origin origin;
};

struct Admin {
  std::optional<Address> address = Address{"127.0.0.1", 9090, false};  // nullopt: off
  std::string token;
};

enum class AccessLogTarget : uint8_t { Off, Stdout, Stderr, File };

struct Log {
  std::string level = "info";   // debug, info, warn, error
  std::string format = "json";  // json, text
  AccessLogTarget access = AccessLogTarget::Stdout;
  std::string access_file;
};

struct Snapshot {
  uint32_t workers = 0;  // 0: one per core
  std::vector<Listener> listeners;
  std::vector<Cluster> clusters;
  Resolver resolver;
  std::vector<Policy> policies;
  std::vector<Limit> limits;
  std::vector<Route> routes;
  std::vector<std::string>
      default_policies;  // for requests that no route matches; routes have theirs
  Admin admin;
  Log log;
  Duration drain_timeout = std::chrono::seconds(30);
  uint64_t max_memory = 0;  // resident, of the process; 0: unlimited
  std::string store = "memory";
  std::string source;                 // file it came from, or "(environment)"
  std::vector<std::string> warnings;  // of what is doubtful in it, for the operator
  /// Paths of the values that variables gave, "routes[0].cluster", in lower case; dumps mask them.
  std::vector<std::string> from_variables;

  const Cluster* find_cluster(std::string_view name) const;
  const Policy* find_policy(std::string_view name) const;
  const Limit* find_limit(std::string_view name) const;
  const Listener* find_listener(std::string_view name) const;
};

}  // namespace tidegate::config
