// SPDX-License-Identifier: Apache-2.0
// The tree between the sources of configuration (YAML, flags, variables) and the field table. Every
// source becomes such a tree, so that one table binds and one set of checks judges them all.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"

namespace tidegate::config {

struct Node {
  enum class Kind : uint8_t { Null, Scalar, Sequence, Mapping };

  Kind kind = Kind::Null;
  bool quoted = false;  // a scalar in quotes or a block: never a number, boolean or null
  bool secret = false;  // dumps show ***
  bool broken = false;  // already reported: bind nothing, complain no more
  bool absent = false;  // `${NAME:-}` that gave nothing: as if its key or item were not there
  std::string text;     // of a scalar
  std::string written;  // the same before variables were put in; empty: it names none
  Mark mark;            // of the value
  std::string key;      // when the child of a mapping
  Mark key_mark;
  std::vector<Node> children;

  static Node scalar(std::string text, Mark mark = {});
  static Node quoted_scalar(std::string text);
  static Node secret_scalar(std::string text);
  static Node sequence(Mark mark = {});
  static Node mapping(Mark mark = {});

  bool is_scalar() const { return kind == Kind::Scalar; }
  bool is_sequence() const { return kind == Kind::Sequence; }
  bool is_mapping() const { return kind == Kind::Mapping; }

  /// Child of a mapping by key; null when there is none.
  Node* find(std::string_view name);
  const Node* find(std::string_view name) const;
  /// Adds or replaces a mapping's child. The reference lives until the next change of children.
  Node& put(std::string name, Node value);
  /// Where a person would look for it: its key when it has one.
  const Mark& where() const { return key.empty() ? mark : key_mark; }
  /// "a list", "'abc'": what a message about a wrong type says was found.
  std::string describe() const;
};

/// The tree as JSON, scalars typed by YAML 1.2's core schema; quoted ones are strings. Infinity and
/// not-a-number, which JSON lacks, become strings.
nlohmann::ordered_json to_json(const Node& node);
Node from_json(const nlohmann::ordered_json& json);
/// The tree as YAML in one canonical form, that `parse_yaml` reads back as the same tree.
std::string to_yaml(const Node& node);
/// The same on one line, for tables.
std::string to_inline_yaml(const Node& node);

}  // namespace tidegate::config
