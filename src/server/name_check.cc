// SPDX-License-Identifier: Apache-2.0
#include "server/name_check.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "config/outbound_proxy.h"
#include "net/event_loop.h"

namespace tidegate::server {
namespace {

/// Why a name does not resolve; empty: it does. Nothing: no answer yet.
using Outcomes = std::map<std::string, std::optional<std::string>>;

const config::Address& dialled(const config::Cluster& cluster, const config::Endpoint& endpoint) {
  const config::OutboundProxy* proxy = config::outbound_proxy_for(cluster, endpoint);
  return proxy == nullptr ? endpoint.address : proxy->address;
}

Outcomes names_in(const config::Snapshot& snapshot) {
  Outcomes names;
  for (const config::Cluster& cluster : snapshot.clusters) {
    for (const config::Endpoint& endpoint : cluster.endpoints) {
      const config::Address& address = dialled(cluster, endpoint);
      if (!address.is_unix && !IpAddress::parse(address.host))
        names.emplace(address.host, std::nullopt);
    }
  }
  return names;
}

/// The number of names without an answer.
size_t look_up_all(Outcomes& names, Duration within, net::NameResolver::LookUp look_up) {
  size_t open = names.size();
  if (open == 0) return 0;
  net::EventLoop loop;
  net::NameResolver resolver(
      loop,
      [&](net::NameResolver::Answers answers) {
        for (const auto& [name, answer] : answers) names[name] = answer ? "" : answer.error();
        open -= answers.size();
      },
      std::move(look_up));
  for (const auto& [name, outcome] : names) resolver.ask(name);
  const TimePoint until = std::chrono::steady_clock::now() + within;
  while (open > 0 && resolver.wait_until(until)) {
  }
  return open;
}

}  // namespace

std::vector<std::string> doubtful_names(const config::Snapshot& snapshot, Duration within,
                                        net::NameResolver::LookUp look_up) {
  Outcomes names = names_in(snapshot);
  const size_t open = look_up_all(names, within, std::move(look_up));
  std::vector<std::string> warnings;
  for (const config::Cluster& cluster : snapshot.clusters) {
    for (const config::Endpoint& endpoint : cluster.endpoints) {
      const auto at = names.find(dialled(cluster, endpoint).host);
      if (at == names.end() || !at->second || at->second->empty()) continue;
      warnings.push_back(fmt::format("{}:{}: clusters.{}: {}; until it does, the endpoint is down",
                                     endpoint.origin.file, endpoint.origin.line, cluster.name,
                                     *at->second));
    }
  }
  if (open > 0) {
    warnings.push_back(fmt::format(
        "{} of {} names of endpoints not checked: name servers have not answered within {} s", open,
        names.size(), std::chrono::duration_cast<std::chrono::seconds>(within).count()));
  }
  return warnings;
}

}  // namespace tidegate::server
