// SPDX-License-Identifier: Apache-2.0
#include "config/dump.h"

#include <algorithm>

#include "base/strings.h"
#include "config/table.h"

namespace tidegate::config {
namespace {

void mask(Node& node) {
  Node masked = Node::quoted_scalar("***");
  masked.key = std::move(node.key);
  node = std::move(masked);
}

/// Walks the tree of a dump and masks secrets, and what variables gave.
class Mask {
 public:
  explicit Mask(const std::vector<std::string>& from_variables) : given_(from_variables) {
    std::ranges::sort(given_);
  }

  void apply(Node& node, const std::string& path) const {
    if (node.is_scalar() && (node.secret || is_given(path))) return mask(node);
    // Items of a list may stand elsewhere than where they were written.
    const bool any_item = node.is_sequence() && any_below(path + "[");
    for (size_t i = 0; i < node.children.size(); ++i) {
      Node& child = node.children[i];
      if (any_item && child.is_scalar()) {
        mask(child);
      } else {
        apply(child, step(path, child, i));
      }
    }
  }

 private:
  static std::string step(const std::string& path, const Node& child, size_t index) {
    if (child.key.empty()) return path + "[" + std::to_string(index) + "]";
    return (path.empty() ? "" : path + ".") + ascii_lower(child.key);
  }

  bool any_below(const std::string& prefix) const {
    const auto at = std::ranges::lower_bound(given_, prefix);
    return at != given_.end() && at->starts_with(prefix);
  }

  /// At that path, or as the text that stands for a mapping with this key, or as its only item.
  bool is_given(const std::string& path) const {
    if (std::ranges::binary_search(given_, path) || any_below(path + "[")) return true;
    const size_t dot = path.rfind('.');
    const std::string_view key = dot == std::string::npos ? "" : std::string_view(path).substr(dot);
    return (key == ".url" || key == ".to") &&
           std::ranges::binary_search(given_, path.substr(0, dot));
  }

  std::vector<std::string> given_;
};

}  // namespace

Node masked_tree(const Snapshot& snapshot) {
  Node root = snapshot_section().write(&snapshot);
  Mask(snapshot.from_variables).apply(root, "");
  return root;
}

std::string dump(const Snapshot& snapshot) {
  return to_yaml(masked_tree(snapshot));
}

std::string dump_json(const Snapshot& snapshot) {
  return to_json(masked_tree(snapshot)).dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tidegate::config
