// SPDX-License-Identifier: Apache-2.0
#include "config/section.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::config {
namespace {

std::vector<std::string> available_keys(const Section& section) {
  std::vector<std::string> keys;
  for (const Field& field : section.fields) {
    if (field.presence != Presence::Later) keys.push_back(field.key);
  }
  return keys;
}

std::string unknown_key(const Section& section, const std::string& key) {
  std::vector<std::string> known = available_keys(section);
  std::string hint = did_you_mean(key, known);
  if (!hint.empty()) return "unknown key" + hint;
  return fmt::format("unknown key; known here: {}", fmt::join(known, ", "));
}

}  // namespace

const Field* Section::find(std::string_view key) const {
  auto found = std::find_if(fields.begin(), fields.end(),
                            [&](const Field& field) { return field.key == key; });
  return found == fields.end() ? nullptr : &*found;
}

std::string Section::definition() const {
  std::string name;
  for (char c : path) {
    if (c != '[' && c != ']') name += c;
  }
  return name;
}

void Section::read(Reader& reader, const Node& node, void* object) const {
  if (!reader.require(node, Node::Kind::Mapping, "a mapping of keys")) return;
  for (const Node& child : node.children) {
    Reader::Step step(reader, child);
    const Field* field = find(child.key);
    if (!field) {
      reader.fail_key(child, unknown_key(*this, child.key));
    } else if (field->presence == Presence::Later) {
      reader.fail_key(child, not_available(fmt::format("'{}'", child.key)));
    } else {
      field->read(reader, child, object);
    }
  }
  for (const Field& field : fields) {
    if (field.presence != Presence::Required || node.find(field.key)) continue;
    reader.fail_key(node, fmt::format("'{}' is missing: {}", field.key, field.doc));
  }
}

Node Section::write(const void* object) const {
  Node mapping = Node::mapping();
  for (const Field& field : fields) {
    if (!field.write) continue;
    Node value = field.write(object);
    if (value.kind != Node::Kind::Null) mapping.put(field.key, std::move(value));
  }
  return mapping;
}

}  // namespace tidegate::config
