// SPDX-License-Identifier: Apache-2.0
// Writes a tree as YAML. Not through yaml-cpp's emitter, whose quoting varies with its version; the
// golden dumps must not.
#include <algorithm>

#include "config/core_schema.h"
#include "config/node.h"

namespace tidegate::config {
namespace {

std::string scalar_text(const Node& node) {
  if (node.kind == Node::Kind::Null) return "null";
  return write_scalar(node.text, node.quoted);
}

bool is_leaf(const Node& node) {
  return node.children.empty();
}

std::string leaf_text(const Node& node) {
  if (node.is_sequence()) return "[]";
  if (node.is_mapping()) return "{}";
  return scalar_text(node);
}

bool is_list_of_leaves(const Node& node) {
  return node.is_sequence() && std::all_of(node.children.begin(), node.children.end(), is_leaf);
}

void emit(std::string& out, const Node& node, int indent);

void emit_child(std::string& out, const Node& child, int indent) {
  if (is_leaf(child)) {
    out += " " + leaf_text(child) + "\n";
  } else if (is_list_of_leaves(child)) {
    out += " " + to_inline_yaml(child) + "\n";
  } else {
    out += "\n";
    emit(out, child, indent);
  }
}

void emit(std::string& out, const Node& node, int indent) {
  std::string margin(static_cast<size_t>(indent), ' ');
  for (const Node& child : node.children) {
    if (node.is_mapping()) {
      out += margin + write_scalar(child.key, true) + ":";
      emit_child(out, child, indent + 2);
    } else {
      std::string item;
      emit_child(item, child, indent + 2);
      // The first line of an item stands behind its dash.
      size_t start = item.find_first_not_of(" \n");
      out += margin + "- " + item.substr(start);
    }
  }
}

}  // namespace

std::string to_yaml(const Node& node) {
  std::string out;
  if (is_leaf(node)) return leaf_text(node) + "\n";
  emit(out, node, 0);
  return out;
}

std::string to_inline_yaml(const Node& node) {
  if (is_leaf(node)) return leaf_text(node);
  std::string out;
  for (const Node& child : node.children) {
    if (!out.empty()) out += ", ";
    if (node.is_mapping()) out += write_scalar(child.key, true) + ": ";
    out += to_inline_yaml(child);
  }
  return node.is_mapping() ? "{ " + out + " }" : "[" + out + "]";
}

}  // namespace tidegate::config
