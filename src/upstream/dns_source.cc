// SPDX-License-Identifier: Apache-2.0
#include "upstream/dns_source.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/random.h"
#include "config/values.h"

namespace tidegate::upstream {
namespace {

constexpr double kJitter = 0.1;

/// Those of the best priority (RFC 2782): the lowest number.
std::vector<net::DnsService> best_services(std::vector<net::DnsService> all) {
  // An empty target says that there is no such service; one that is no host name is somebody's
  // mischief.
  std::erase_if(
      all, [](const net::DnsService& service) { return !config::is_host_name(service.target); });
  const auto best = std::ranges::min_element(all, {}, &net::DnsService::priority);
  if (best == all.end()) return {};
  std::erase_if(all, [priority = best->priority](const net::DnsService& service) {
    return service.priority != priority;
  });
  return all;
}

/// "_https._tcp.users.example" is a service of users.example. Whoever forges an answer names
/// targets of his own, so this is what certificates have to be for (RFC 6125 6.2.1).
std::string service_domain(std::string_view name) {
  while (name.starts_with('_') && name.find('.') != std::string_view::npos) {
    name.remove_prefix(name.find('.') + 1);
  }
  if (name.ends_with('.')) name.remove_suffix(1);
  return std::string(name);
}

bool by_address(const EndpointSpec& a, const EndpointSpec& b) {
  const auto key = [](const EndpointSpec& spec) {
    return std::pair(spec.resolved.front().ip().bytes(), spec.config.address.port);
  };
  return key(a) < key(b);
}

bool same_address(const EndpointSpec& a, const EndpointSpec& b) {
  return a.config.address == b.config.address;
}

bool is_v4(const EndpointSpec& spec) {
  return spec.resolved.front().ip().is_v4();
}

/// By host and port, since of SRV another of these is another endpoint, with a weight of its own:
/// the endpoints of IPv6 and those of IPv4, with the hashes of their addresses.
struct Candidate {
  const EndpointSpec* spec;
  uint64_t hash;
};
using Families = std::array<std::vector<Candidate>, 2>;
using Hosts = std::map<std::pair<std::string, uint16_t>, Families>;

Hosts by_host(const std::vector<EndpointSpec>& specs) {
  Hosts hosts;
  for (const EndpointSpec& spec : specs) {
    hosts[{spec.host, spec.config.address.port}][is_v4(spec)].push_back(
        {&spec, std::hash<std::string>()(spec.config.url)});
  }
  return hosts;
}

/// Rendezvous hashing: a change of one address moves only those that fall back to it.
std::optional<net::SocketAddress> fallback_of(const Candidate& one,
                                              const std::vector<Candidate>& others) {
  if (others.empty()) return std::nullopt;
  const auto affinity = [&](const Candidate& to) { return mix64(one.hash ^ mix64(to.hash)); };
  return std::ranges::max_element(others, {}, affinity)->spec->resolved.front();
}

}  // namespace

void join_families(std::vector<EndpointSpec>& specs, bool prefer_v4) {
  std::unordered_map<const EndpointSpec*, std::optional<net::SocketAddress>> fallbacks;
  for (const auto& [host, families] : by_host(specs)) {
    for (const size_t family : {0, 1}) {
      for (const Candidate& one : families[family]) {
        fallbacks[one.spec] = fallback_of(one, families[1 - family]);
      }
    }
  }
  for (EndpointSpec& spec : specs) spec.fallback = fallbacks[&spec];
  if (!prefer_v4) return;
  std::erase_if(specs, [](const EndpointSpec& spec) { return !is_v4(spec) && spec.fallback; });
}

/// One asking: a lookup of services, or none, and lookups of addresses.
struct DnsSource::Round {
  size_t waiting = 0;  // lookups
  bool any_found = false;
  bool any_failed = false;
  Duration ttl = Duration::max();
  std::vector<EndpointSpec> specs;
  std::map<Question, std::vector<IpAddress>> answered;
  std::string detail;
};

EndpointSpec endpoint_at(const config::Dns& dns, const IpAddress& address,
                         const net::DnsService& service) {
  EndpointSpec spec;
  spec.config.scheme = dns.scheme;
  spec.config.address = {address.to_string(), service.port, false};
  spec.config.url = dns.scheme + "://" + spec.config.address.to_string();
  // In SRV a weight of 0 stands for very little, with the balancers for nothing.
  spec.config.weight = std::max<uint32_t>(service.weight, 1);
  spec.resolved = {net::SocketAddress::from_ip(address, service.port)};
  spec.host = dns.type == config::DnsType::Srv ? service.target : dns.name;
  if (spec.host.ends_with('.')) spec.host.pop_back();
  if (dns.type == config::DnsType::Srv) spec.certified_name = service_domain(dns.name);
  return spec;
}

DnsSource::DnsSource(net::EventLoop& loop, config::Dns dns, std::function<double()> random,
                     OnOutcome on_outcome)
    : loop_(loop),
      dns_(std::move(dns)),
      random_(std::move(random)),
      on_outcome_(std::move(on_outcome)),
      refresh_([](void* self) { static_cast<DnsSource*>(self)->ask(); }, this) {}

void DnsSource::use(net::Resolver& resolver) {
  resolver_ = &resolver;
  ask();
}

void DnsSource::ask() {
  refresh_.disarm();
  const auto round = round_ = std::make_shared<Round>();
  if (dns_.type == config::DnsType::A) {
    return ask_addresses(round, dns_.name, {.target = {}, .port = dns_.port, .weight = 1});
  }
  ++round->waiting;
  const std::weak_ptr<Round> asked = round;
  resolver_->look_up(dns_.name, net::DnsRecordType::Srv, [this, asked](net::Lookup lookup) {
    if (const auto still = asked.lock()) take_services(still, std::move(lookup));
  });
}

void DnsSource::ask_addresses(const std::shared_ptr<Round>& round, const std::string& host,
                              const net::DnsService& service) {
  std::vector<net::DnsRecordType> types;
  if (dns_.family != config::DnsFamily::V6) types.push_back(net::DnsRecordType::A);
  if (dns_.family != config::DnsFamily::V4) types.push_back(net::DnsRecordType::Aaaa);
  round->waiting += types.size();
  const std::weak_ptr<Round> asked = round;
  for (const auto type : types) {
    const Question question{host, type};
    resolver_->look_up(host, type, [this, asked, question, service](net::Lookup lookup) {
      if (const auto still = asked.lock()) {
        take_addresses(*still, question, service, std::move(lookup));
      }
    });
  }
}

void DnsSource::take_services(const std::shared_ptr<Round>& round, net::Lookup lookup) {
  if (lookup.state == net::LookupState::Found) {
    round->ttl = std::chrono::seconds(lookup.answer.ttl);
    const auto services = best_services(std::move(lookup.answer.services));
    if (services.empty()) round->detail = "the service is said not to exist";
    for (const net::DnsService& service : services) {
      // The target is a whole name: search domains are not for it.
      ask_addresses(round, service.target + ".", service);
    }
  } else {
    round->any_failed = lookup.state == net::LookupState::Failed;
    round->detail = std::move(lookup.detail);
  }
  if (--round->waiting == 0) finish(*round);
}

void DnsSource::take_addresses(Round& round, const Question& question,
                               const net::DnsService& service, net::Lookup lookup) {
  std::vector<IpAddress> addresses;
  if (lookup.state == net::LookupState::Found) {
    round.ttl = std::min<Duration>(round.ttl, std::chrono::seconds(lookup.answer.ttl));
    addresses = std::move(lookup.answer.addresses);
    round.any_found = true;
  } else {
    round.detail = std::move(lookup.detail);
  }
  if (lookup.state == net::LookupState::Failed) {
    // What could not be answered now is as it was; some resolvers never answer for IPv6, and the
    // rest must go on changing.
    round.any_failed = true;
    if (const auto before = answered_.find(question); before != answered_.end()) {
      addresses = before->second;
    }
  }
  for (const IpAddress& address : addresses) {
    round.specs.push_back(endpoint_at(dns_, address, service));
  }
  if (!addresses.empty()) round.answered[question] = std::move(addresses);
  if (--round.waiting == 0) finish(round);
}

void DnsSource::finish(Round& round) {
  Outcome outcome{net::LookupState::Found, {}, {}};
  if (round.any_found) outcome.specs = std::move(round.specs);
  if (round.any_failed || outcome.specs.empty()) {
    outcome.state = round.any_failed ? net::LookupState::Failed : net::LookupState::None;
    outcome.detail = std::move(round.detail);
  }
  if (outcome.specs.empty()) {
    const unsigned doublings = std::min(failures_++, 16u);
    ask_later(std::min<Duration>(dns_.min_refresh * (1 << doublings), dns_.max_refresh));
  } else {
    failures_ = 0;
    ask_later(std::clamp<Duration>(round.ttl, dns_.min_refresh, dns_.max_refresh));
  }
  if (!outcome.specs.empty()) answered_ = std::move(round.answered);
  std::ranges::sort(outcome.specs, by_address);
  const auto repeated = std::ranges::unique(outcome.specs, same_address);
  outcome.specs.erase(repeated.begin(), repeated.end());
  join_families(outcome.specs, dns_.family == config::DnsFamily::PreferV4);
  round_.reset();
  on_outcome_(std::move(outcome));
}

void DnsSource::ask_later(Duration after) {
  loop_.timers().arm(refresh_, jittered(after, 0, kJitter, random_()));
}

}  // namespace tidegate::upstream
