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
  Json default_value;        // the same as JSON; null when there is none
  Node initial;              // what a struct writes that was not given the key
  std::string doc;
  Presence presence = Presence::Optional;
  Json schema;
  const Section* section = nullptr;  // of the structs inside
  bool takes_empty = false;          // `Kind::takes_empty`
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
    Kind<T> whole{kind.name, kind.range, kind.schema, {}, {}, kind.section, kind.takes_empty};
    whole.read = [=](Reader& reader, const Node& node, T& to) {
      kind.read(reader, node, to.*member);
    };
    whole.write = [=](const T& from) { return kind.write(from.*member); };
    return field(std::move(key), std::move(whole), std::move(doc));
  }

  /// A key whose value goes to more than one member.
  SectionOf& field(std::string key, Kind<T> kind, std::string doc) {
    Field& added = add(std::move(key), std::move(doc), Presence::Optional);
    added.type = kind.name;
    added.range = kind.range;
    added.schema = kind.schema;
    added.section = kind.section;
    Node initial = kind.write(T{});
    if (!initial.is_mapping() && initial.kind != Node::Kind::Null) {
      added.default_text = to_inline_yaml(initial);
      added.default_value = to_json(initial);
    }
    added.initial = std::move(initial);
    added.takes_empty = kind.takes_empty;
    added.read = [=](Reader& reader, const Node& node, void* object) {
      read_value(kind, reader, node, *static_cast<T*>(object));
    };
    added.write = [=](const void* object) { return kind.write(*static_cast<const T*>(object)); };
    return *this;
  }

  /// A field that must be given; takes what `field` takes.
  template <class... Arguments>
  SectionOf& required(std::string key, Arguments&&... arguments) {
    field(std::move(key), std::forward<Arguments>(arguments)...);
    Field& added = section_.fields.back();
    added.presence = Presence::Required;
    added.default_text.clear();
    added.default_value = nullptr;
    return *this;
  }

  /// A key that is specified but not yet built.
  SectionOf& later(std::string key, std::string doc) {
    add(std::move(key), std::move(doc), Presence::Later);
    return *this;
  }

  operator Section() const { return section_; }

 private:
  Field& add(std::string key, std::string doc, Presence presence) {
    Field& added = section_.fields.emplace_back();
    added.key = std::move(key);
    added.doc = std::move(doc);
    added.presence = presence;
    return added;
  }

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
