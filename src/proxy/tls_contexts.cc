// SPDX-License-Identifier: Apache-2.0
#include "proxy/tls_contexts.h"

#include <algorithm>
#include <ctime>

namespace tidegate::proxy {
namespace {

using Settings = net::TlsServerSettings;

std::string at(const config::Origin& origin, const std::string& message) {
  const std::string line = origin.line > 0 ? ":" + std::to_string(origin.line) : "";
  return origin.file + line + ": " + message;
}

std::vector<std::string> server_alpn(const config::Listener& listener) {
  // HTTP/1.0 has a name too, and some clients offer no other.
  if (!listener.http2.enabled) return {"http/1.1", "http/1.0"};
  return {"h2", "http/1.1", "http/1.0"};
}

std::vector<std::string> client_alpn(const config::Cluster& cluster) {
  if (cluster.protocol == "h1") return {"http/1.1"};
  if (cluster.protocol == "h2") return {"h2"};
  return {"h2", "http/1.1"};
}

Settings server_settings(const config::Listener& listener) {
  Settings settings;
  for (const auto& one : listener.tls->certificates) {
    settings.certificates.push_back({one.cert, one.key});
  }
  settings.client_ca = listener.tls->client_ca;
  if (!settings.client_ca.empty()) {
    settings.client_verify = listener.tls->client_verify == config::ClientVerify::Require
                                 ? Settings::ClientVerify::Require
                                 : Settings::ClientVerify::Optional;
  }
  settings.tls13_only = listener.tls->min_version == "1.3";
  settings.alpn = server_alpn(listener);
  settings.name = listener.name;
  return settings;
}

/// What stood in the same place before, if anything.
template <class Context>
std::shared_ptr<const Context> former(const std::vector<std::shared_ptr<const Context>>* previous,
                                      size_t index) {
  return previous == nullptr || index >= previous->size() ? nullptr : (*previous)[index];
}

/// `made`, or the one of `previous` that is the same.
template <class Context>
std::shared_ptr<const Context> same_or(
    std::shared_ptr<const Context> made,
    const std::vector<std::shared_ptr<const Context>>* previous) {
  if (previous == nullptr) return made;
  for (const auto& one : *previous) {
    if (one != nullptr && one->digest() == made->digest()) return one;
  }
  return made;
}

void load_listeners(const config::Snapshot& config, const TlsContexts* previous,
                    const std::shared_ptr<const net::TlsTicketKeys>& keys,
                    std::vector<std::string>& errors, TlsContexts& to) {
  for (const config::Listener& listener : config.listeners) {
    auto& context = to.listeners.emplace_back();
    if (!listener.tls) continue;
    auto made = net::TlsServerContext::make(server_settings(listener), keys);
    if (made) {
      context = same_or(std::move(*made), previous == nullptr ? nullptr : &previous->listeners);
      continue;
    }
    if (previous != nullptr) context = former(&previous->listeners, to.listeners.size() - 1);
    const auto& certificates = listener.tls->certificates;
    const size_t index = made.error().certificate;
    errors.push_back(
        at(index < certificates.size() ? certificates[index].origin : listener.tls->origin,
           "listener " + listener.name + ": " + made.error().message));
  }
}

// Every cluster has one, since discovery and scripts may bring https endpoints; those with equal
// settings share it, and with it the system's certificates.
void load_clusters(const config::Snapshot& config, const TlsContexts* previous,
                   std::vector<std::string>& errors, TlsContexts& to) {
  std::vector<net::TlsClientSettings> all;
  for (const config::Cluster& cluster : config.clusters) {
    all.push_back({cluster.tls.verify, cluster.tls.ca, cluster.tls.cert, cluster.tls.key,
                   client_alpn(cluster)});
    auto& context = to.clusters.emplace_back();
    const auto same = std::ranges::find(all, all.back());
    if (same + 1 != all.end()) {
      context = to.clusters[static_cast<size_t>(same - all.begin())];
      continue;
    }
    auto made = net::TlsClientContext::make(all.back());
    if (made) {
      context = same_or(std::move(*made), previous == nullptr ? nullptr : &previous->clusters);
      continue;
    }
    if (previous != nullptr) context = former(&previous->clusters, to.clusters.size() - 1);
    const config::Origin& origin =
        cluster.tls.origin.file.empty() ? cluster.origin : cluster.tls.origin;
    errors.push_back(at(origin, "cluster " + cluster.name + ": " + made.error()));
  }
}

std::string day(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

}  // namespace

TlsContexts load_tls(const config::Snapshot& config, const TlsContexts* previous,
                     const std::shared_ptr<const net::TlsTicketKeys>& keys,
                     std::vector<std::string>& errors) {
  TlsContexts contexts;
  load_listeners(config, previous, keys, errors, contexts);
  load_clusters(config, previous, errors, contexts);
  return contexts;
}

std::vector<std::string> doubtful_certificates(const config::Snapshot& config,
                                               const TlsContexts& contexts, int64_t unix_seconds) {
  std::vector<std::string> messages;
  for (size_t i = 0; i < contexts.listeners.size(); ++i) {
    if (contexts.listeners[i] == nullptr) continue;
    const auto& loaded = contexts.listeners[i]->loaded();
    for (size_t j = 0; j < loaded.size(); ++j) {
      const net::TlsCertificate& one = loaded[j].certificate;
      std::string what;
      if (one.not_after < unix_seconds) what = " has expired at " + day(one.not_after);
      if (one.not_before > unix_seconds) what = " is not valid before " + day(one.not_before);
      if (what.empty()) continue;
      messages.push_back(at(config.listeners[i].tls->certificates[j].origin,
                            "listener " + config.listeners[i].name + ": " + loaded[j].path + what +
                                ": clients will refuse it"));
    }
  }
  return messages;
}

std::vector<std::string> tls_files(const config::Snapshot& config) {
  std::vector<std::string> files;
  for (const config::Listener& listener : config.listeners) {
    if (!listener.tls) continue;
    for (const auto& one : listener.tls->certificates) {
      files.push_back(one.cert);
      files.push_back(one.key);
    }
    files.push_back(listener.tls->client_ca);
  }
  for (const config::Cluster& cluster : config.clusters) {
    for (const auto& file : {cluster.tls.ca, cluster.tls.cert, cluster.tls.key}) {
      files.push_back(file);
    }
  }
  std::erase(files, "");
  return files;
}

}  // namespace tidegate::proxy
