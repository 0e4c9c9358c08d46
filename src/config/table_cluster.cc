// SPDX-License-Identifier: Apache-2.0
// Clusters, endpoints, pools; policies and budgets.
#include "base/limits.h"
#include "config/table.h"

namespace tidegate::config {
namespace {

using namespace std::chrono_literals;

Kind<Endpoint> url_kind() {
  Kind<Endpoint> kind{"URL", "", Json{{"$ref", "#/$defs/text"}}, {}, {}};
  kind.read = [](Reader& reader, const Node& node, Endpoint& to) {
    if (!reader.require(node, Node::Kind::Scalar, "a URL such as http://10.0.0.1:8080")) return;
    auto url = parse_origin_url(node.text);
    if (!url) return reader.fail(node, url.error());
    to.url = node.text;
    to.scheme = url->scheme;
    to.address = url->address;
    make_absolute(reader, node, to.address);
  };
  kind.write = [](const Endpoint& endpoint) {
    return endpoint.url.empty() ? Node() : Node::quoted_scalar(endpoint.url);
  };
  return kind;
}

/// Judged when all is read; a password in it is not shown.
Kind<std::string> proxy_url_kind() {
  Kind<std::string> kind = or_empty(text("URL, or environment"));
  kind.write = [](const std::string& url) {
    if (url.empty()) return Node();
    const size_t at = url.rfind('@');
    return Node::scalar(at == std::string::npos ? url : "http://***" + url.substr(at));
  };
  return kind;
}

Kind<uint64_t> memory_budget() {
  return size(64 * 1024, 16ULL << 30);
}

}  // namespace

const Section& endpoint_section() {
  static const Section kSection =
      SectionOf<Endpoint>("clusters.NAME.endpoints[]",
                          "One address in a cluster; a plain URL stands for `{ url: URL }`.")
          .required("url", url_kind(),
                    "`http://host[:port]` or `https://host[:port]` of the origin, or "
                    "`http://unix:/path` of its unix socket.")
          .field("weight", &Endpoint::weight, count32(0, 1000),
                 "Share of the requests, in proportion to the others; 0: none.")
          .field("tags", &Endpoint::tags, text_map(), "Free labels that scripts can read.");
  return kSection;
}

const Section& pool_section() {
  static const Section kSection =
      SectionOf<Pool>("clusters.NAME.pool",
                      "The reusable connections to one endpoint in one worker.")
          .field("max_connections", &Pool::max_connections, count32(0, 1'000'000),
                 "Connections per endpoint and worker, tunnels of CONNECT counted apart; 0: "
                 "unlimited.")
          .field("idle_timeout", &Pool::idle_timeout, duration(0ms, 24h),
                 "An unused connection is closed after this; 0s: not kept at all.")
          .field(
              "max_pending", &Pool::max_pending, count32(0, 1'000'000),
              "Requests that wait for a connection which others use, per endpoint and worker; over "
              "it: 503. Who gets a new one is not counted; 0: nobody waits.")
          .field("pending_timeout", &Pool::pending_timeout, duration(0ms, 1h),
                 "Longest wait for a connection, in a queue that is fair over clients; over it: "
                 "503; 0s: the route's `timeout`.")
          .field("max_requests", &Pool::max_requests, count(0, UINT32_MAX),
                 "Requests on one connection before it is replaced; 0: unlimited.")
          .field(
              "ping_interval", &Pool::ping_interval, duration(0ms, 24h),
              "HTTP/2: a connection that was silent for this long with streams open is asked for "
              "a sign of life, and given up if none comes within it; 0s: never. Some gRPC servers "
              "refuse less than 5m.");
  return kSection;
}

namespace {

/// What keeps clients from noticing that origins fail.
SectionOf<Cluster>& add_resilience(SectionOf<Cluster>& to) {
  return to
      .field("health_check", &Cluster::health_check,
             optional(nested<HealthCheck>(health_check_section())),
             "Active checks of each endpoint; `health_check: {}` takes the defaults, without "
             "the key every endpoint counts as healthy.")
      .field("panic_threshold", &Cluster::panic_threshold, share(0, 100),
             "With a smaller share of the endpoints healthy, health is disregarded and all "
             "are used; 0%: never.")
      .field("slow_start", &Cluster::slow_start, duration(0ms, 24h),
             "Over this time the share of an endpoint that came new or came back grows from a "
             "tenth to all of it; not with `consistent_hash`; 0s: at once.")
      .field("breaker", &Cluster::breaker, optional(nested<Breaker>(breaker_section())),
             "Circuit breaker of each endpoint; `breaker: {}` takes the defaults, without the "
             "key there is none.")
      .field("limits", &Cluster::limits, nested<ClusterLimits>(cluster_limits_section()),
             "Concurrent requests to the cluster.")
      .field("retry", &Cluster::retry, nested<Retry>(retry_section()),
             "Further attempts after a failed one.");
}

// How requests leave for origins behind an HTTP proxy.
SectionOf<Cluster>& add_outbound_proxy(SectionOf<Cluster>& to) {
  return to
      .field("outbound_proxy", &Cluster::outbound_proxy, proxy_url_kind(),
             "An HTTP proxy on the way to the origins, `http://user:password@proxy:3128`, or "
             "`environment`: that of `HTTP_PROXY` or `HTTPS_PROXY`, by the endpoint's scheme. "
             "Empty: none.")
      .field("no_proxy", &Cluster::no_proxy, list_of(text("host, address or block")),
             "Endpoints reached without it: hosts with all below them, addresses, CIDR blocks, "
             "each with or without `:port`, or `*`. By default what `NO_PROXY` says.")
      .field("outbound_tunnel", &Cluster::outbound_tunnel, flag(),
             "Reach http endpoints by a CONNECT tunnel too; otherwise their requests go to the "
             "proxy itself, in absolute form, and `host` is always the endpoint's.");
}

}  // namespace

const Section& cluster_section() {
  static const Section kSection = add_resilience(add_outbound_proxy(
      SectionOf<Cluster>(
          "clusters.NAME",
          "A named group of interchangeable endpoints and the policy for using them.")
          .field("endpoints", endpoint_list_kind(),
                 "Where its origins are; this, `dns` or `file`. Scripts can replace them by "
                 "`cluster:set_endpoints`.")
          .field("dns", &Cluster::dns, optional(nested<Dns>(dns_section())),
                 "Its origins are found by DNS.")
          .field(
              "file", &Cluster::file, endpoint_file_kind(),
              "Its origins stand in this YAML file, a list as `endpoints` takes it; watched, and "
              "read again when it changes.")
          .field(
              "balancer", &Cluster::balancer,
              choice({"round_robin", "weighted", "random", "least_connections", "p2c", "ewma",
                      "consistent_hash"}),
              "What picks an endpoint; all heed weights. `round_robin`: each in turn, and with "
              "weights spread evenly; `weighted` is another name for it. `p2c`: the less busy of "
              "two random ones; `ewma`: of two the "
              "one with the lower latency times requests under way.")
          .field("hash_on", &Cluster::hash_on, optional(hash_on_kind()),
                 "What `consistent_hash` hashes, `client_ip` unless given; a request without it "
                 "goes to a random endpoint.")
          .field("hash_load_factor", &Cluster::hash_load_factor, optional(share(101, 1000)),
                 "Bounded load for `consistent_hash`: an endpoint over this share of the average "
                 "passes keys on to the next; none: no bound.")
          .field("locality", &Cluster::locality, optional(nested<Locality>(locality_section())),
                 "Endpoints that go before others.")
          .field(
              "protocol", &Cluster::protocol, choice({"auto", "h1", "h2"}),
              "HTTP version towards the origins; `auto`: as they choose by ALPN on TLS, HTTP/1.1 "
              "in cleartext; `h2` in cleartext: with prior knowledge. An HTTP/2 origin is taken to "
              "allow 100 streams on a connection until it has said how many.")
          .field("proxy_protocol", &Cluster::proxy_protocol,
                 enumeration<int>({{"none", 0}, {"v1", 1}, {"v2", 2}}),
                 "Connections to the origins begin with a PROXY protocol header of this version, "
                 "which names the client; so each carries the requests of one client's connection "
                 "only, and `pool` counts for each of these.")
          .field("connect_timeout", &Cluster::connect_timeout, duration(1ms, 1h),
                 "Longest wait for a connection to an endpoint.")
          .field("max_response_header_bytes", &Cluster::max_response_header_bytes,
                 narrow<uint32_t>(size(256, kMostHeaderBytes)),
                 "All headers of a response together; over it: 502.")
          .field("max_response_header_count", &Cluster::max_response_header_count,
                 count32(1, 10'000), "Number of headers of a response; over it: 502.")
          .field("pool", &Cluster::pool, nested<Pool>(pool_section()),
                 "Reusable connections and their limits.")
          .field("tls", &Cluster::tls, nested<ClusterTls>(cluster_tls_section()),
                 "TLS with `https://` endpoints.")));
  return kSection;
}

const Section& budget_section() {
  static const Section kSection =
      SectionOf<Budget>("policies.NAME.budget", "What one policy's script may use up.")
          .field("cpu", &Budget::cpu, duration(1ms, 1min), "CPU time of one run of a hook.")
          .field("memory", &Budget::memory, memory_budget(),
                 "Memory of the script's VM, per worker.")
          .field("time", &Budget::time, duration(1ms, 1h),
                 "Wall time of one run of a hook, with its waits.");
  return kSection;
}

const Section& policy_section() {
  static const Section kSection =
      SectionOf<Policy>("policies.NAME", "A named use of a script, with its options and budgets.")
          .required("script", &Policy::script, script_path_kind(), "The Lua file.")
          .field("options", &Policy::options_json, options_kind(), "The script's global `options`.")
          .field("budget", &Policy::budget, nested<Budget>(budget_section()),
                 "Limits of CPU, memory and time.")
          .field("on_error", &Policy::on_error,
                 enumeration<OnError>({{"closed", OnError::Closed}, {"open", OnError::Open}}),
                 "When a hook fails: `closed` answers 500, `open` goes on without it.")
          .field("env", &Policy::env, list_of(checked_text("variable name", parse_variable_name)),
                 "The only environment variables it can read.")
          .field("clusters", &Policy::clusters, list_of(text("cluster name")),
                 "The only clusters whose endpoints it can set and whose breakers it can reset.")
          .field("jit", &Policy::jit, flag(),
                 "Compile hot loops. A compiled loop cannot be interrupted by the CPU budget.")
          .field("trusted", &Policy::trusted, flag(), "Give it Lua's full standard library.")
          .field("isolation", &Policy::isolation,
                 enumeration<Isolation>({{"shared", Isolation::Shared}, {"own", Isolation::Own}}),
                 "`shared`: policies of one script whose `trusted`, `jit` and `budget.memory` are "
                 "equal "
                 "share one Lua VM per worker, with its heap, collector and memory budget, but no "
                 "globals. "
                 "`own`: a VM of its own.");
  return kSection;
}

}  // namespace tidegate::config
