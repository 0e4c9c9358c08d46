// SPDX-License-Identifier: Apache-2.0
#include "config/snapshot.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::config {
namespace {

template <class T>
const T* find_named(const std::vector<T>& items, std::string_view name) {
  auto found =
      std::find_if(items.begin(), items.end(), [&](const T& item) { return item.name == name; });
  return found == items.end() ? nullptr : &*found;
}

}  // namespace

std::string Address::to_string() const {
  if (is_unix) return "unix:" + host;
  bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

const Cluster* Snapshot::find_cluster(std::string_view name) const {
  return find_named(clusters, name);
}

const Limit* Snapshot::find_limit(std::string_view name) const {
  return find_named(limits, name);
}

const Policy* Snapshot::find_policy(std::string_view name) const {
  return find_named(policies, name);
}

const Listener* Snapshot::find_listener(std::string_view name) const {
  return find_named(listeners, name);
}

}  // namespace tidegate::config
