// SPDX-License-Identifier: Apache-2.0
// Kinds of values a key can have. A kind knows how to read a tree into a C++ value, how to write it
// back, and how to describe itself to the reference and the JSON Schema.
#pragma once
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/reader.h"
#include "config/values.h"

namespace tidegate::config {

struct Section;
using Json = nlohmann::ordered_json;

template <class V>
struct Kind {
  std::string name;   // "duration", "list of CIDR blocks"
  std::string range;  // "1ms to 24h"; empty when any value of the kind will do
  Json schema;
  std::function<void(Reader&, const Node&, V&)> read;
  /// A null node leaves the key out.
  std::function<Node(const V&)> write;
  const Section* section = nullptr;  // of the structs inside, if any
  /// Only where the empty text means something of its own. Every other kind refuses it before
  /// `read` sees it: a name that turned out empty must not come to mean "none" or "any".
  bool takes_empty = false;
};

template <class V>
Kind<V> or_empty(Kind<V> kind) {
  kind.takes_empty = true;
  return kind;
}

/// Refuses an empty text where `kind` does not take it, else reads.
template <class V>
void read_value(const Kind<V>& kind, Reader& reader, const Node& node, V& to) {
  if (kind.takes_empty || reader.require_text(node, kind.name)) kind.read(reader, node, to);
}

/// Schema of a scalar, which may always come from `${NAME}`.
Json or_variable(Json schema);

/// A kind that is one scalar: `parse` judges its text, `format` writes it.
template <class V>
Kind<V> scalar_kind(std::string name, Json schema,
                    std::function<Fallible<V>(const std::string&)> parse,
                    std::function<std::string(const V&)> format) {
  Kind<V> kind{name, "", or_variable(std::move(schema)), {}, {}};
  kind.read = [name, parse](Reader& reader, const Node& node, V& to) {
    if (!reader.require(node, Node::Kind::Scalar, with_article(name))) return;
    auto value = parse(node.text);
    if (value) {
      to = std::move(*value);
    } else {
      reader.fail(node, value.error());
    }
  };
  kind.write = [format](const V& value) {
    std::string text = format(value);
    return text.empty() ? Node() : Node::scalar(std::move(text));
  };
  return kind;
}

/// Any text, the empty one too: what is said, not what is meant by a name.
Kind<std::string> free_text();
/// Any text but the empty one; `name` is the kind's, as in "policy name".
Kind<std::string> text(std::string name);
/// Text that a parser of values.h judges.
Kind<std::string> checked_text(std::string name, Fallible<std::string> (*parse)(std::string_view));
Kind<bool> flag();
Kind<Duration> duration(Duration min, Duration max);
Kind<uint64_t> size(uint64_t min, uint64_t max);
Kind<uint64_t> count(uint64_t min, uint64_t max);
/// Percent, kept as a fraction of 1.
Kind<double> share(uint32_t min_percent, uint32_t max_percent);
/// One of `now`; one of `later` is refused as not available.
Kind<std::string> choice(std::vector<std::string> now, std::vector<std::string> later = {});
/// Whether a value that a variable leaves empty is taken; one that is written empty always is.
enum class EmptyValues : bool { AsWritten, Any };
Kind<std::map<std::string, std::string>> header_map(EmptyValues empty_values);
Kind<std::map<std::string, std::string>> text_map();

/// The same in a narrower integer; the kind's range must fit it.
template <class To, class From>
Kind<To> narrow(Kind<From> wide) {
  Kind<To> kind{wide.name, wide.range, wide.schema, {}, {}};
  kind.read = [wide](Reader& reader, const Node& node, To& to) {
    From value = to;
    wide.read(reader, node, value);
    to = static_cast<To>(value);
  };
  kind.write = [wide](const To& value) { return wide.write(value); };
  return kind;
}

inline Kind<uint32_t> count32(uint32_t min, uint32_t max) {
  return narrow<uint32_t>(count(min, max));
}

/// One of named enumerators.
template <class E>
Kind<E> enumeration(std::vector<std::pair<std::string, E>> names) {
  std::vector<std::string> keys;
  for (const auto& [name, value] : names) keys.push_back(name);
  Kind<std::string> word = choice(std::move(keys));
  Kind<E> kind{word.name, word.range, word.schema, {}, {}};
  kind.read = [word, names](Reader& reader, const Node& node, E& to) {
    std::string given;
    word.read(reader, node, given);
    for (const auto& [name, value] : names) {
      if (name == given) to = value;
    }
  };
  kind.write = [names](const E& given) {
    for (const auto& [name, value] : names) {
      if (value == given) return Node::scalar(name);
    }
    return Node();
  };
  return kind;
}

template <class V>
Kind<std::vector<V>> list_of(Kind<V> item) {
  Kind<std::vector<V>> kind{"list of " + item.name,
                            item.range,
                            Json{{"type", "array"}, {"items", item.schema}},
                            {},
                            {},
                            item.section};
  kind.read = [item](Reader& reader, const Node& node, std::vector<V>& to) {
    if (!reader.require(node, Node::Kind::Sequence, "a list")) return;
    to.clear();
    for (size_t i = 0; i < node.children.size(); ++i) {
      Reader::Step step(reader, node.children[i], i);
      read_value(item, reader, node.children[i], to.emplace_back());
    }
  };
  kind.write = [item](const std::vector<V>& values) {
    Node list = Node::sequence();
    for (const V& value : values) list.children.push_back(item.write(value));
    return list.children.empty() ? Node() : list;
  };
  return kind;
}

/// A mapping from names to structs that keep their name in `V::name`.
template <class V>
Kind<std::vector<V>> named(Kind<V> item) {
  Kind<std::vector<V>> kind{"mapping of name to " + item.name,
                            "",
                            Json{{"type", "object"}, {"additionalProperties", item.schema}},
                            {},
                            {},
                            item.section};
  kind.read = [item](Reader& reader, const Node& node, std::vector<V>& to) {
    if (!reader.require(node, Node::Kind::Mapping, "a mapping of names")) return;
    for (const Node& child : node.children) {
      Reader::Step step(reader, child);
      if (auto name = parse_name(child.key); !name) reader.fail_key(child, name.error());
      to.emplace_back().name = child.key;
      item.read(reader, child, to.back());
    }
  };
  kind.write = [item](const std::vector<V>& values) {
    Node mapping = Node::mapping();
    for (const V& value : values) mapping.put(value.name, item.write(value));
    return mapping.children.empty() ? Node() : mapping;
  };
  return kind;
}

template <class V>
Kind<std::optional<V>> optional(Kind<V> item) {
  Kind<std::optional<V>> kind{item.name, item.range,   item.schema,     {},
                              {},        item.section, item.takes_empty};
  kind.read = [item](Reader& reader, const Node& node, std::optional<V>& to) {
    item.read(reader, node, to.emplace());
  };
  kind.write = [item](const std::optional<V>& value) {
    return value ? item.write(*value) : Node();
  };
  return kind;
}

}  // namespace tidegate::config
