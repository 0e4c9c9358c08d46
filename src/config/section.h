// SPDX-License-Identifier: Apache-2.0
// The field table: each struct of the configuration is a Section, each key of it one Field.
// Parsing, defaults, unknown keys, the dump, the Markdown reference and the JSON Schema all come
// from here.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/kind.h"

namespace tidegate::config {

enum class Presence : uint8_t {
  Optional,
  Required,
  Later,  // specified, not yet built: using it is an error
};

struct Field {
  std::string key;
  std::string type;          // "duration"
  std::string range;         // "1ms to 24h"; may be empty
  std::string default_text;  // as it would be written; empty when there is none
  std::string doc;
  Presence presence = Presence::Optional;
  Json schema;
  const Section* section = nullptr;  // of the structs inside
  std::function<void(Reader&, const Node&, void*)> read;
  std::function<Node(const void*)> write;
};

struct Section {
  std::string path;  // "clusters.NAME.pool"; empty for the root
  std::string doc;
  std::vector<Field> fields;

  const Field* find(std::string_view key) const;
  /// Name of its definition in the JSON Schema.
  std::string definition() const;
  /// Binds a mapping's keys to `object`; reports unknown, unavailable and missing ones.
  void read(Reader& reader, const Node& node, void* object) const;
  Node write(const void* object) const;
};

/// Section of the struct T; its fields reach members of T and nothing else.
template <class T>
class SectionOf {
 public:
  SectionOf(std::string path, std::string doc) : section_{std::move(path), std::move(doc), {}} {}

  template <class V>
  SectionOf& field(std::string key, V T::*member, Kind<V> kind, std::string doc) {
    Node initial = kind.write(T{}.*member);
    bool has_default = !initial.is_mapping() && initial.kind != Node::Kind::Null;
    add({std::move(key), kind.name, kind.range, has_default ? to_inline_yaml(initial) : "",
         std::move(doc), Presence::Optional, kind.schema, kind.section,
         [=](Reader& reader, const Node& node, void* object) {
           kind.read(reader, node, static_cast<T*>(object)->*member);
         },
         [=](const void* object) { return kind.write(static_cast<const T*>(object)->*member); }});
    return *this;
  }

  /// A key whose value goes to more than one member.
  SectionOf& field(std::string key, Kind<T> kind, std::string doc) {
    Node initial = kind.write(T{});
    add({std::move(key), kind.name, kind.range,
         initial.kind == Node::Kind::Null ? "" : to_inline_yaml(initial), std::move(doc),
         Presence::Optional, kind.schema, kind.section,
         [=](Reader& reader, const Node& node, void* object) {
           kind.read(reader, node, *static_cast<T*>(object));
         },
         [=](const void* object) { return kind.write(*static_cast<const T*>(object)); }});
    return *this;
  }

  /// A field that must be given; takes what `field` takes.
  template <class... Arguments>
  SectionOf& required(std::string key, Arguments&&... arguments) {
    field(std::move(key), std::forward<Arguments>(arguments)...);
    section_.fields.back().presence = Presence::Required;
    section_.fields.back().default_text.clear();
    return *this;
  }

  /// A key that is specified but not yet built.
  SectionOf& later(std::string key, std::string doc) {
    add({std::move(key), "", "", "", std::move(doc), Presence::Later, {}, nullptr, {}, {}});
    return *this;
  }

  operator Section() const { return section_; }

 private:
  void add(Field field) { section_.fields.push_back(std::move(field)); }
  Section section_;
};

/// A struct as the value of a key. `section` must describe T and outlive the kind.
template <class T>
Kind<T> nested(const Section& section) {
  Kind<T> kind{"mapping", "", Json{{"$ref", "#/$defs/" + section.definition()}}, {}, {}, &section};
  kind.read = [&section](Reader& reader, const Node& node, T& to) {
    if constexpr (requires { to.origin; }) to.origin = {node.where().name(), node.where().line};
    section.read(reader, node, &to);
  };
  kind.write = [&section](const T& value) { return section.write(&value); };
  return kind;
}

}  // namespace tidegate::config
