// SPDX-License-Identifier: Apache-2.0
#include "config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "config/check.h"
#include "config/endpoint_file.h"
#include "config/outbound_proxy.h"
#include "config/table.h"
#include "config/text_file.h"
#include "config/yaml.h"

namespace tidegate::config {
namespace {

/// Names for what has none, and each route's full list of policies.
void complete(Snapshot& snapshot) {
  for (Route& route : snapshot.routes) {
    std::vector<std::string> policies = snapshot.default_policies;
    for (std::string& policy : route.policies) {
      if (std::find(policies.begin(), policies.end(), policy) == policies.end()) {
        policies.push_back(std::move(policy));
      }
    }
    route.policies = std::move(policies);
  }
}

template <class T>
void name_by_index(std::vector<T>& items, std::string_view list) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].name.empty()) items[i].name = fmt::format("{}.{}", list, i);
  }
}

Loaded failed(Errors errors) {
  sort_by_position(errors);
  return tl::unexpected(std::move(errors));
}

void read_endpoint_files(Snapshot& snapshot, const Environment& environment, Errors& errors) {
  for (Cluster& cluster : snapshot.clusters) {
    if (cluster.file.empty()) continue;
    auto loaded = load_endpoints(cluster.file, environment);
    if (loaded) {
      cluster.endpoints = std::move(*loaded);
    } else {
      errors.insert(errors.end(), loaded.error().begin(), loaded.error().end());
    }
  }
}

Loaded build(const Node& root, const std::string& folder, std::string source,
             const Environment& environment, Errors errors) {
  Snapshot snapshot;
  snapshot.source = std::move(source);
  Reader reader(folder, errors);
  if (reader.require(root, Node::Kind::Mapping, "a mapping with listeners, clusters and routes")) {
    snapshot_section().read(reader, root, &snapshot);
    snapshot.from_variables = reader.from_variables();
    name_by_index(snapshot.listeners, "listeners");
    name_by_index(snapshot.routes, "routes");
    read_endpoint_files(snapshot, environment, errors);
    resolve_outbound_proxies(snapshot, environment, reader, errors);
    check(snapshot, reader, errors);
  }
  if (!errors.empty()) return failed(std::move(errors));
  complete(snapshot);
  return snapshot;
}

std::string folder_of(const std::string& file) {
  return std::filesystem::path(file).parent_path().string();
}

Loaded load_yaml(std::string_view text, const std::string& name, const Overrides& overrides,
                 const Environment& environment) {
  Errors errors;
  auto root = parse_yaml(text, name, environment, errors);
  if (!root) return failed(std::move(errors));
  overlay(*root, overrides, environment, errors);
  return build(*root, folder_of(name), name, environment, std::move(errors));
}

Loaded load_path(const std::string& path, const Overrides& overrides,
                 const Environment& environment) {
  auto text = read_text(path);
  if (text) return load_yaml(*text, path, overrides, environment);
  return failed({Error{Mark{std::make_shared<const std::string>(path), 0, 0}, "", text.error()}});
}

Loaded load_environment(const Overrides& overrides, const Environment& environment) {
  Errors errors;
  Node root = environment_tree(environment, errors);
  overlay(root, overrides, environment, errors);
  return build(root, "", "(environment)", environment, std::move(errors));
}

}  // namespace

Loaded load_file(const std::string& path, const Environment& environment) {
  return load_path(path, {}, environment);
}

Loaded load_text(std::string_view text, const std::string& name, const Environment& environment) {
  return load_yaml(text, name, {}, environment);
}

Loaded from_environment(const Environment& environment) {
  return load_environment({}, environment);
}

Loaded Source::load() const {
  return file_.empty() ? load_environment(overrides_, environment_)
                       : load_path(file_, overrides_, environment_);
}

}  // namespace tidegate::config
