// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "config/environment.h"
#include "config/node.h"

namespace tidegate::config {

/// What the command line lays over the file or the environment.
struct Overrides {
  std::string listen;                  // --listen; empty: not given
  std::vector<std::string> upstreams;  // --upstream, split at commas
  std::vector<std::string> policies;   // --policy
  std::vector<std::string> sets;       // --set, "dotted.path=value"
};

/// Changes the tree before it is bound: `--listen` the first listener's address, `--upstream` the
/// endpoints of the only cluster, `--policy` adds a policy to all routes, `--set` any key, with
/// numbers for list elements (the one after the last adds one). Marks name the flag. Paths in flags
/// are relative to the working folder.
void overlay(Node& root, const Overrides& overrides, const Environment& environment,
             Errors& errors);

/// The tree that the TIDEGATE_* variables describe: one listener, one cluster, one route.
Node environment_tree(const Environment& environment, Errors& errors);

/// "10.0.0.1:80" as the URL that an endpoint takes; what has a scheme stays.
std::string as_url(const std::string& upstream);

/// Elements of a comma list, trimmed, empty ones left out.
std::vector<std::string> split_list(std::string_view list);

}  // namespace tidegate::config
