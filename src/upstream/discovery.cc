// SPDX-License-Identifier: Apache-2.0
#include "upstream/discovery.h"

#include <algorithm>
#include <random>

#include "config/endpoint_file.h"
#include "config/error.h"
#include "telemetry/log.h"
#include "upstream/resolution.h"

namespace tidegate::upstream {
namespace {

using telemetry::Family;

// Longer than a name server in the house takes.
constexpr auto kNamesWithin = std::chrono::milliseconds(100);

std::string to_text(const config::Errors& errors) {
  std::string text;
  for (const config::Error& error : errors) text += (text.empty() ? "" : "; ") + error.to_string();
  return text;
}

}  // namespace

Discovery::Discovery(net::EventLoop& loop, telemetry::Shard& cells, config::Environment environment,
                     Names& names, OnEndpoints on_endpoints)
    : loop_(loop),
      cells_(cells),
      environment_(std::move(environment)),
      names_(names),
      on_endpoints_(std::move(on_endpoints)),
      random_state_(std::random_device{}()) {}

double Discovery::random() {
  std::minstd_rand generator(static_cast<unsigned>(random_state_));
  random_state_ = generator();
  return static_cast<double>(random_state_) / static_cast<double>(std::minstd_rand::max());
}

Fallible<void> Discovery::follow(const config::Snapshot& snapshot) {
  const net::Resolver* const before = resolver_.get();
  const bool any_dns = std::ranges::any_of(
      snapshot.clusters, [](const config::Cluster& cluster) { return cluster.dns.has_value(); });
  if (any_dns) {
    if (auto set_up = set_up_resolver(snapshot.resolver); !set_up) return set_up;
  }
  follow_dns(snapshot, resolver_.get() != before);
  follow_files(snapshot);
  std::erase_if(leases_, [this](const auto& lease) {
    return !sources_.contains(lease.first) && !files_.contains(lease.first);
  });
  return {};
}

void Discovery::stop() {
  sources_.clear();
  files_.clear();
  watch_.reset();
}

Fallible<void> Discovery::set_up_resolver(const config::Resolver& wanted) {
  if (resolver_ != nullptr && resolver_config_ == wanted) return {};
  auto made = net::Resolver::make(loop_, {wanted.servers, wanted.timeout, wanted.attempts});
  if (!made) return tl::unexpected(made.error());
  resolver_ = std::move(*made);
  resolver_config_ = wanted;
  return {};
}

void Discovery::follow_dns(const config::Snapshot& snapshot, bool asked_anew) {
  std::map<std::string, Source> kept;
  std::set<std::string> asking;
  unsettled_.clear();
  for (const config::Cluster& cluster : snapshot.clusters) {
    if (!cluster.dns) continue;
    Source& source = kept[cluster.name];
    const auto known = sources_.find(cluster.name);
    if (known != sources_.end() && known->second.dns->config() == *cluster.dns) {
      source = std::move(known->second);
      if (asked_anew) asking.insert(cluster.name);
      continue;
    }
    source.dns = std::make_unique<DnsSource>(
        loop_, *cluster.dns, [this] { return random(); },
        [this, name = cluster.name](DnsSource::Outcome outcome) {
          on_dns(name, std::move(outcome));
        });
    unsettled_.insert(cluster.name);
    asking.insert(cluster.name);
  }
  sources_ = std::move(kept);
  // What asks may be answered at once, so all is in place before.
  for (const std::string& cluster : asking) sources_.at(cluster).dns->use(*resolver_);
}

void Discovery::follow_files(const config::Snapshot& snapshot) {
  files_.clear();
  std::vector<std::string> paths;
  for (const config::Cluster& cluster : snapshot.clusters) {
    if (cluster.file.empty()) continue;
    files_.emplace(cluster.name, cluster);
    paths.push_back(cluster.file);
  }
  if (paths.empty()) return watch_.reset();
  if (watch_ == nullptr) {
    watch_ = std::make_unique<net::FileWatch>(
        loop_, [this](const std::set<std::string>& changed) { on_files(changed); });
  }
  if (!watch_->watch(paths)) {
    log::warn(
        "some folder of endpoint files cannot be watched: reload by SIGHUP or the admin address");
  }
}

void Discovery::count(const std::string& cluster, const char* outcome) {
  cells_.counter(Family::DiscoveriesTotal, {cluster, outcome}, &leases_[cluster]).add();
}

void Discovery::on_dns(const std::string& cluster, DnsSource::Outcome outcome) {
  const bool found = outcome.state == net::LookupState::Found;
  const bool some = !outcome.specs.empty();
  unsettled_.erase(cluster);
  Source& source = sources_.at(cluster);
  count(cluster, found ? "found" : outcome.state == net::LookupState::None ? "none" : "failed");
  if (!found && !std::exchange(source.failing, true)) {
    log::warn(
        some ? "DNS answers in part: of the rest, the endpoints that are known stay"
             : "DNS names no endpoints: those that are known stay",
        {{"cluster", cluster}, {"name", source.dns->config().name}, {"error", outcome.detail}});
  }
  if (found && std::exchange(source.failing, false)) {
    log::info("DNS names endpoints again", {{"cluster", cluster}});
  }
  if (some) on_endpoints_(cluster, std::move(outcome.specs));
}

void Discovery::on_files(const std::set<std::string>& changed) {
  for (const auto& [cluster, settings] : std::map(files_)) {
    const std::string& path = settings.file;
    if (!changed.contains(path)) continue;
    const auto loaded = config::load_endpoints(path, environment_);
    count(cluster, loaded ? "found" : "failed");
    if (!loaded) {
      log::error("endpoint file refused: the former endpoints stay",
                 {{"cluster", cluster}, {"file", path}, {"error", to_text(loaded.error())}});
      refused_.insert(cluster);
      continue;
    }
    if (refused_.erase(cluster) > 0) {
      log::info("endpoint file is good again", {{"cluster", cluster}, {"file", path}});
    }
    (void)resolve_names(settings, *loaded, names_);
    names_.settle_within(kNamesWithin);
    on_endpoints_(cluster, resolve_names(settings, *loaded, names_));
  }
}

}  // namespace tidegate::upstream
