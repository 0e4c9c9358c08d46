// SPDX-License-Identifier: Apache-2.0
#include "config/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/core_schema.h"

namespace tidegate::config {

using Json = nlohmann::ordered_json;

Node Node::scalar(std::string text, Mark mark) {
  Node node;
  node.kind = Kind::Scalar;
  node.text = std::move(text);
  node.mark = std::move(mark);
  return node;
}

Node Node::quoted_scalar(std::string text) {
  Node node = scalar(std::move(text));
  node.quoted = true;
  return node;
}

Node Node::secret_scalar(std::string text) {
  Node node = quoted_scalar(std::move(text));
  node.secret = true;
  return node;
}

Node Node::sequence(Mark mark) {
  Node node;
  node.kind = Kind::Sequence;
  node.mark = std::move(mark);
  return node;
}

Node Node::mapping(Mark mark) {
  Node node;
  node.kind = Kind::Mapping;
  node.mark = std::move(mark);
  return node;
}

const Node* Node::find(std::string_view name) const {
  auto found = std::find_if(children.begin(), children.end(),
                            [&](const Node& child) { return child.key == name; });
  return found == children.end() ? nullptr : &*found;
}

Node* Node::find(std::string_view name) {
  return const_cast<Node*>(std::as_const(*this).find(name));
}

Node& Node::put(std::string name, Node value) {
  value.key_mark = value.mark;
  value.key = std::move(name);
  if (Node* present = find(value.key)) return *present = std::move(value);
  return children.emplace_back(std::move(value));
}

std::string Node::describe() const {
  switch (kind) {
    case Kind::Null:
      return "nothing";
    case Kind::Sequence:
      return "a list";
    case Kind::Mapping:
      return "a mapping";
    case Kind::Scalar:
      break;
  }
  // A variable may hold a secret.
  if (!written.empty()) return fmt::format("'{}'", written);
  return fmt::format("'{}'", text.size() <= 60 ? text : text.substr(0, 57) + "...");
}

Json to_json(const Node& node) {
  switch (node.kind) {
    case Node::Kind::Null:
      return nullptr;
    case Node::Kind::Scalar:
      return node.quoted ? Json(node.text) : resolve_scalar(node.text);
    case Node::Kind::Sequence: {
      Json list = Json::array();
      for (const Node& child : node.children) list.push_back(to_json(child));
      return list;
    }
    case Node::Kind::Mapping:
      break;
  }
  Json object = Json::object();
  for (const Node& child : node.children) object[child.key] = to_json(child);
  return object;
}

Node from_json(const Json& json) {
  if (json.is_null()) return {};
  if (json.is_string()) return Node::quoted_scalar(json.get<std::string>());
  if (json.is_array()) {
    Node list = Node::sequence();
    for (const Json& item : json) list.children.push_back(from_json(item));
    return list;
  }
  if (!json.is_object()) return Node::scalar(json.dump());
  Node mapping = Node::mapping();
  for (const auto& [key, value] : json.items()) mapping.put(key, from_json(value));
  return mapping;
}

}  // namespace tidegate::config
