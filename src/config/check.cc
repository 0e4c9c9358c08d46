// SPDX-License-Identifier: Apache-2.0
#include "config/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/strings.h"
#include "config/unmatchable.h"
#include "config/values.h"

namespace tidegate::config {
namespace {

// What the counters of proxy/sliding_window.h and proxy/token_bucket.h are made for.
constexpr uint64_t kMostInWindow = 200'000;
constexpr uint64_t kMostInBucket = 10'000'000;

/// The IP addresses that a host is known to mean without asking DNS.
std::vector<IpAddress> known_addresses(const std::string& host) {
  if (const auto ip = IpAddress::parse(host)) return {*ip};
  if (!iequals(host, "localhost")) return {};
  return {*IpAddress::parse("127.0.0.1"), *IpAddress::parse("::1")};
}

/// All addresses of a family include each of them.
bool overlap(const IpAddress& a, const IpAddress& b) {
  if (a == b) return true;
  const IpAddress any = *IpAddress::parse(a.is_v4() ? "0.0.0.0" : "::");
  return a.is_v4() == b.is_v4() && (a == any || b == any);
}

/// Connections to one may reach the other; port 0 collides with nothing. Of names that only DNS
/// knows no more than the spelling is compared: whether their addresses collide shows at the start.
bool collide(const Address& a, const Address& b) {
  if (a.is_unix || b.is_unix) return a.is_unix && a == b;
  if (a.host.empty() || a.port == 0 || a.port != b.port) return false;
  for (const IpAddress& left : known_addresses(a.host)) {
    for (const IpAddress& right : known_addresses(b.host)) {
      if (overlap(left, right)) return true;
    }
  }
  return iequals(a.host, b.host);
}

template <class T>
std::vector<std::string> names_of(const std::vector<T>& items) {
  std::vector<std::string> names;
  for (const T& item : items) names.push_back(item.name);
  return names;
}

/// What two endpoints must not share.
std::string identity_of(const Address& address) {
  if (address.is_unix) return address.to_string();
  const auto ip = IpAddress::parse(address.host);
  return (ip ? ip->to_string() : address.host) + " " + std::to_string(address.port);
}

class Checker {
 public:
  Checker(const Snapshot& snapshot, const Reader& reader, Errors& errors)
      : snapshot_(snapshot), reader_(reader), errors_(errors) {}

  void run() {
    check_listeners();
    check_clusters();
    check_grants();
    check_policies("default_policies", snapshot_.default_policies);
    check_limits();
    check_names("routes", snapshot_.routes);
    if (is_empty_list("routes", snapshot_.routes.size()))
      fail("routes", "needs at least one route");
    for (size_t i = 0; i < snapshot_.routes.size(); ++i) check_route(i);
  }

 private:
  bool given(const std::string& path) const { return reader_.positions().contains(path); }

  void fail(const std::string& path, std::string message) { add(path, std::move(message), false); }
  void fail_key(const std::string& path, std::string message) {
    add(path, std::move(message), true);
  }
  void add(const std::string& path, std::string message, bool at_key) {
    auto found = reader_.positions().find(path);
    Mark mark;
    if (found != reader_.positions().end()) mark = at_key ? found->second.key : found->second.value;
    errors_.push_back(Error{mark, path, std::move(message)});
  }

  /// Something at or below `path` was refused already; what seems to follow from it is not said.
  bool any_fault_in(const std::string& path) const {
    return std::any_of(errors_.begin(), errors_.end(), [&](const Error& error) {
      if (!error.path.starts_with(path)) return false;
      return error.path.size() == path.size() || error.path[path.size()] == '.' ||
             error.path[path.size()] == '[';
    });
  }
  /// A list that was given, is one, and holds nothing.
  bool is_empty_list(const std::string& path, size_t size) const {
    return size == 0 && given(path) && !any_fault_in(path);
  }

  template <class T>
  void check_names(const std::string& list, const std::vector<T>& items) {
    std::set<std::string> seen;
    for (size_t i = 0; i < items.size(); ++i) {
      std::string path = fmt::format("{}[{}].name", list, i);
      if (seen.insert(items[i].name).second || !given(path)) continue;
      fail(path,
           fmt::format("'{}' is the name of another one: choose a different one", items[i].name));
    }
  }

  /// `known` by name, or a message at `path`.
  void require_known(const std::string& path, std::string_view what, const std::string& name,
                     const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), name) != known.end()) return;
    std::string hint = did_you_mean(name, known);
    if (hint.empty()) {
      hint = known.empty() ? ": none is configured"
                           : fmt::format("; there is {}", fmt::join(known, ", "));
    }
    fail(path, fmt::format("unknown {} '{}'{}", what, name, hint));
  }

  void check_listeners() {
    const auto& listeners = snapshot_.listeners;
    check_names("listeners", listeners);
    if (is_empty_list("listeners", listeners.size())) {
      fail("listeners", "needs at least one listener");
    }
    for (size_t i = 0; i < listeners.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (!collide(listeners[i].address, listeners[j].address)) continue;
        fail(fmt::format("listeners[{}].address", i),
             fmt::format("{} is already the address of listener '{}'",
                         listeners[i].address.to_string(), listeners[j].name));
        break;
      }
      check_tls(listeners[i], fmt::format("listeners[{}].tls", i));
      check_admin(listeners[i], fmt::format("listeners[{}].address", i));
      if (listeners[i].permissions && !listeners[i].address.is_unix) {
        fail(fmt::format("listeners[{}].permissions", i), "only a unix socket has permissions");
      }
      const bool trusts_any = !listeners[i].trusted_proxies.empty() || listeners[i].trust_unix;
      if (listeners[i].proxy_protocol && !trusts_any) {
        fail(fmt::format("listeners[{}].proxy_protocol", i),
             "needs trusted_proxies: from nobody else is a header taken");
      }
    }
  }

  void check_tls(const Listener& listener, const std::string& path) {
    if (!listener.tls) return;
    if (is_empty_list(path + ".certificates", listener.tls->certificates.size())) {
      fail(path + ".certificates", "needs at least one certificate");
    }
    if (given(path + ".client_verify") && !given(path + ".client_ca")) {
      fail_key(path + ".client_verify",
               "needs client_ca, the file that says what to verify against");
    }
  }

  void check_cluster_tls(const Cluster& cluster) {
    const std::string path = fmt::format("clusters.{}.tls", cluster.name);
    for (const auto& [one, other] : {std::pair("cert", "key"), std::pair("key", "cert")}) {
      if (given(path + "." + one) && !given(path + "." + other)) {
        fail_key(path + "." + one, fmt::format("needs {} beside it", other));
      }
    }
    if (!cluster.tls.verify && given(path + ".ca")) {
      fail_key(path + ".ca", "is of no use with verify: false");
    }
  }

  void check_admin(const Listener& listener, const std::string& path) {
    if (!snapshot_.admin.address || !collide(*snapshot_.admin.address, listener.address)) return;
    std::string where = given("admin.address") ? "admin.address" : path;
    fail(where,
         fmt::format("the admin address {} is also that of listener '{}': change one, or set "
                     "admin.address to off",
                     snapshot_.admin.address->to_string(), listener.name));
  }

  void check_clusters() {
    for (const Cluster& cluster : snapshot_.clusters) {
      const std::string path = fmt::format("clusters.{}", cluster.name);
      check_source(path);
      if (cluster.dns) check_dns(*cluster.dns, path + ".dns");
      if (given(path + ".endpoints")) check_endpoints(cluster.endpoints, path + ".endpoints");
      check_hashing(cluster, path);
      check_health_check(cluster, path);
      check_adaptive(cluster);
      check_cluster_tls(cluster);
    }
  }

  void check_endpoints(const std::vector<Endpoint>& endpoints, const std::string& path) {
    for (const EndpointFault& fault : faults_of(endpoints)) {
      const bool whole = fault.index == EndpointFault::kAll;
      if (whole && any_fault_in(path)) continue;
      fail(whole ? path : fmt::format("{}[{}]", path, fault.index), fault.message);
    }
  }

  void check_health_check(const Cluster& cluster, const std::string& path) {
    if (!cluster.health_check || cluster.health_check->type != HealthCheckType::Grpc) return;
    const bool all_tls = std::all_of(cluster.endpoints.begin(), cluster.endpoints.end(),
                                     [](const Endpoint& one) { return one.scheme == "https"; });
    if (cluster.protocol == "h2" || (cluster.protocol == "auto" && all_tls)) return;
    if (any_fault_in(path)) return;
    fail(path + ".health_check.type",
         "grpc needs HTTP/2: set protocol: h2, or use https endpoints");
  }

  void check_hashing(const Cluster& cluster, const std::string& path) {
    if (cluster.balancer == "consistent_hash" || any_fault_in(path + ".balancer")) return;
    for (const char* key : {"hash_on", "hash_load_factor"}) {
      if (!given(path + "." + key)) continue;
      fail_key(path + "." + key,
               "is for balancer: consistent_hash; the balancer here is " + cluster.balancer);
    }
  }

  void check_adaptive(const Cluster& cluster) {
    const auto& adaptive = cluster.limits.adaptive_concurrency;
    if (!adaptive || adaptive->min <= adaptive->max) return;
    fail(fmt::format("clusters.{}.limits.adaptive_concurrency.min", cluster.name),
         fmt::format("{} is more than max, which is {}", adaptive->min, adaptive->max));
  }

  void check_source(const std::string& path) {
    std::vector<std::string> sources;
    for (const char* key : {"endpoints", "dns", "file"}) {
      if (given(path + "." + key)) sources.push_back(key);
    }
    if (sources.empty() && !any_fault_in(path)) {
      fail_key(path, "has no endpoints: give one of endpoints, dns and file");
    } else if (sources.size() > 1) {
      fail_key(path, fmt::format("takes only one of {}", fmt::join(sources, ", ")));
    }
  }

  void check_dns(const Dns& dns, const std::string& path) {
    if (any_fault_in(path)) return;
    if (dns.type == DnsType::A && dns.port == 0) {
      fail_key(path, "needs a port: an address has none");
    }
    if (dns.type == DnsType::Srv && dns.port != 0) {
      fail_key(path + ".port", "comes with the answer of type srv: leave it out");
    }
    if (dns.min_refresh > dns.max_refresh) {
      fail_key(path + ".max_refresh", "must not be less than min_refresh");
    }
  }

  void check_grants() {
    const std::vector<std::string> known = names_of(snapshot_.clusters);
    for (const Policy& policy : snapshot_.policies) {
      for (size_t i = 0; i < policy.clusters.size(); ++i) {
        require_known(fmt::format("policies.{}.clusters[{}]", policy.name, i), "cluster",
                      policy.clusters[i], known);
      }
    }
  }

  void check_policies(const std::string& path, const std::vector<std::string>& policies) {
    std::vector<std::string> known = names_of(snapshot_.policies);
    for (size_t i = 0; i < policies.size(); ++i) {
      std::string at = fmt::format("{}[{}]", path, i);
      if (any_fault_in(at)) continue;
      require_known(at, "policy", policies[i], known);
      if (std::find(policies.begin(), policies.begin() + static_cast<std::ptrdiff_t>(i),
                    policies[i]) != policies.begin() + static_cast<std::ptrdiff_t>(i)) {
        fail(at, fmt::format("'{}' is listed twice", policies[i]));
      }
    }
  }

  void check_limits() {
    for (const Limit& limit : snapshot_.limits) {
      const std::string path = fmt::format("limits.{}", limit.name);
      const bool window = limit.algorithm == LimitAlgorithm::SlidingWindow;
      const uint64_t most = window ? kMostInWindow : kMostInBucket;
      if (limit.rate.count + (window ? limit.burst.value_or(0) : 0) <= most) continue;
      fail(path + ".rate", fmt::format("{} counts up to {} a period: {}",
                                       window ? "sliding_window" : "token_bucket", most,
                                       window ? "use token_bucket, or a rate by a shorter period"
                                              : "use a rate by a shorter period"));
    }
  }

  void check_route_limits(const Route& route, const std::string& path) {
    const std::vector<std::string> known = names_of(snapshot_.limits);
    for (size_t i = 0; i < route.limits.size(); ++i) {
      const std::string at = fmt::format("{}[{}]", path, i);
      if (any_fault_in(at)) continue;
      require_known(at, "limit", route.limits[i], known);
      const Limit* limit = snapshot_.find_limit(route.limits[i]);
      if (limit != nullptr && limit->key == LimitKey::Script) {
        fail(at, fmt::format("limit '{}' has key: script, so only scripts can take from it: use "
                             "proxy.limit, or give it another key",
                             limit->name));
      }
      const auto end = route.limits.begin() + static_cast<std::ptrdiff_t>(i);
      if (std::find(route.limits.begin(), end, route.limits[i]) != end) {
        fail(at, fmt::format("'{}' is listed twice", route.limits[i]));
      }
    }
  }

  void check_route(size_t index) {
    const Route& route = snapshot_.routes[index];
    std::string path = fmt::format("routes[{}]", index);
    check_action(route, path);
    check_match(route, path);
    check_policies(path + ".policies", route.policies);
    check_route_limits(route, path + ".limits");
    if (route.allow_connect) check_connect(route, path);
    if (route.respond) check_respond(*route.respond, path + ".respond");
    check_reached(index);
  }

  void check_connect(const Route& route, const std::string& path) {
    if (any_fault_in(path)) return;
    const Match& match = route.match;
    if (route.cluster.empty()) {
      fail(path + ".allow_connect", "needs a cluster: a tunnel ends at one of its endpoints");
    } else if (!match.methods.empty() && std::ranges::count(match.methods, "CONNECT") == 0) {
      fail(path + ".allow_connect", "is of no use: match.methods does not name CONNECT");
    } else if (match.path.size() > 1 || match.path_prefix.size() > 1) {
      fail(path + ".allow_connect",
           "is of no use: the path of a CONNECT is /, which match does not "
           "take");
    }
  }

  void check_reached(size_t index) {
    const Match& match = snapshot_.routes[index].match;
    const std::string_view host = match.hosts.empty() ? "" : std::string_view(match.hosts.front());
    // Only those that may be equal, so that many routes do not take the square of their number.
    auto& alike = alike_[fmt::format("{}\n{}\n{}", match.path, match.path_prefix, host)];
    alike.push_back(index);
    std::string path = fmt::format("routes[{}]", index);
    if (any_fault_in(path + ".match")) return;
    for (const size_t i : alike) {
      const Route& earlier = snapshot_.routes[i];
      if (i == index || !(earlier.match == match)) continue;
      if (any_fault_in(fmt::format("routes[{}]", i))) continue;
      return fail_key(path,
                      fmt::format("is never reached: route '{}' takes the same requests before it",
                                  earlier.name));
    }
  }

  void check_action(const Route& route, const std::string& path) {
    std::vector<std::string> actions;
    for (const char* key : {"cluster", "respond", "redirect"}) {
      if (given(path + "." + key)) actions.push_back(key);
    }
    if (route.echo) actions.push_back("echo");
    if (actions.empty() && !any_fault_in(path)) {
      fail_key(path, "has nothing to do: give one of cluster, respond, redirect and echo");
    } else if (actions.size() > 1) {
      fail_key(path, fmt::format("takes only one of {}", fmt::join(actions, ", ")));
    }
    const bool unknown = snapshot_.find_cluster(route.cluster) == nullptr;
    if (unknown && given(path + ".cluster") && !any_fault_in(path + ".cluster")) {
      require_known(path + ".cluster", "cluster", route.cluster, names_of(snapshot_.clusters));
    }
  }

  void check_match(const Route& route, const std::string& path) {
    std::string match = path + ".match";
    if (given(match + ".path") && given(match + ".path_prefix")) {
      fail_key(match, "takes path or path_prefix, not both");
    }
    if (route.strip_prefix && !given(match + ".path_prefix")) {
      fail_key(path + ".strip_prefix", "needs match.path_prefix, which is what it takes off");
    }
    if (!route.replace_prefix.empty() && !route.strip_prefix) {
      fail_key(path + ".replace_prefix", "needs strip_prefix: true");
    }
    check_match_headers(route.match, match + ".headers");
    if (given(match + ".listener") && !any_fault_in(match + ".listener")) {
      require_known(match + ".listener", "listener", route.match.listener,
                    names_of(snapshot_.listeners));
    }
  }

  void check_match_headers(const Match& match, const std::string& path) {
    if (match.headers.empty() || any_fault_in("listeners")) return;
    std::vector<const Listener*> listeners;
    for (const Listener& listener : snapshot_.listeners) {
      if (match.listener.empty() || match.listener == listener.name) listeners.push_back(&listener);
    }
    if (listeners.empty()) return;  // which has been said
    for (const auto& [name, value] : match.headers) {
      const std::string why = why_never_there(name, listeners);
      if (!why.empty()) fail_key(path, why);
    }
  }

  void check_respond(const Respond& respond, const std::string& path) {
    bool bodiless = respond.status == 204 || respond.status == 205 || respond.status == 304;
    if (bodiless && !respond.body.empty()) {
      fail_key(path + ".body", fmt::format("a {} has no body: remove it", respond.status));
    }
    for (const char* name : {"connection", "content-length", "content-type", "transfer-encoding"}) {
      if (!respond.headers.contains(name)) continue;
      fail_key(path, fmt::format("the header {} is not for `headers`: {}", name,
                                 std::string_view(name) == "content-type" ? "use content_type"
                                                                          : "the proxy sets it"));
    }
  }

  const Snapshot& snapshot_;
  const Reader& reader_;
  Errors& errors_;
  std::unordered_map<std::string, std::vector<size_t>> alike_;  // routes, by path and first host
};

}  // namespace

std::vector<EndpointFault> faults_of(const std::vector<Endpoint>& endpoints) {
  if (endpoints.empty()) return {{EndpointFault::kAll, "needs at least one endpoint"}};
  std::vector<EndpointFault> faults;
  bool any_weight = std::any_of(endpoints.begin(), endpoints.end(),
                                [](const Endpoint& endpoint) { return endpoint.weight > 0; });
  if (!any_weight) {
    faults.push_back({EndpointFault::kAll, "every weight is 0: none would get a request"});
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const Address& address = endpoints[i].address;
    if (address.host.empty() || seen.insert(identity_of(address)).second) continue;
    faults.push_back(
        {i, fmt::format("{} is given twice: use weight for a larger share", address.to_string())});
  }
  return faults;
}

void check(const Snapshot& snapshot, const Reader& reader, Errors& errors) {
  Checker(snapshot, reader, errors).run();
}

}  // namespace tidegate::config
