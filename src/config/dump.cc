// SPDX-License-Identifier: Apache-2.0
#include "config/dump.h"

#include "config/table.h"

namespace tidegate::config {
namespace {

void mask(Node& node) {
  Node masked = Node::quoted_scalar("***");
  masked.key = std::move(node.key);
  node = std::move(masked);
}

void mask_secrets(Node& node) {
  if (node.is_scalar() && node.secret) return mask(node);
  for (Node& child : node.children) mask_secrets(child);
}

}  // namespace

Node masked_tree(const Snapshot& snapshot) {
  Node root = snapshot_section().write(&snapshot);
  mask_secrets(root);
  return root;
}

std::string dump(const Snapshot& snapshot) {
  return to_yaml(masked_tree(snapshot));
}

std::string dump_json(const Snapshot& snapshot) {
  return to_json(masked_tree(snapshot)).dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tidegate::config
