// SPDX-License-Identifier: Apache-2.0
#include "config/kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace tidegate::config {
namespace {

Json reference(std::string_view definition) {
  return Json{{"$ref", fmt::format("#/$defs/{}", definition)}};
}

/// Refuses what `wide` reads outside of [min, max].
template <class V>
Kind<V> within(Kind<V> wide, V min, V max, std::string (*format)(V)) {
  Kind<V> kind = wide;
  kind.range = fmt::format("{} to {}", format(min), format(max));
  kind.read = [=](Reader& reader, const Node& node, V& to) {
    V value = min;
    wide.read(reader, node, value);
    if (value < min || value > max) {
      reader.fail(node,
                  fmt::format("must be {} to {}, got '{}'", format(min), format(max), node.text));
    } else if (!node.broken) {
      to = value;
    }
  };
  return kind;
}

Json map_schema(Json values) {
  return Json{{"type", "object"}, {"additionalProperties", std::move(values)}};
}

using TextMap = std::map<std::string, std::string>;
using TextParser = Fallible<std::string> (*)(std::string_view);

Fallible<std::string> any_text(std::string_view given) {
  return std::string(given);
}

Fallible<std::string> any_name(std::string_view given) {
  if (!given.empty()) return std::string(given);
  return tl::unexpected(std::string("expected a name, got nothing"));
}

/// Whether a header of that name carries a secret.
bool is_credential(std::string_view name) {
  const std::string lower = ascii_lower(name);
  return std::ranges::any_of(
      std::array{"authorization", "cookie", "credential", "key", "password", "secret", "token"},
      [&](const char* word) { return lower.find(word) != std::string::npos; });
}

Kind<TextMap> map_kind(std::string name, TextParser parse_key, TextParser parse_value,
                       EmptyValues empty_values) {
  Kind<TextMap> kind{name, "", map_schema(reference("text")), {}, {}};
  kind.read = [=](Reader& reader, const Node& node, TextMap& to) {
    if (!reader.require(node, Node::Kind::Mapping, "a " + name)) return;
    for (const Node& child : node.children) {
      Reader::Step step(reader, child);
      auto key = parse_key(child.key);
      if (!key) reader.fail_key(child, key.error());
      if (empty_values == EmptyValues::AsWritten && !child.written.empty() &&
          !reader.require_text(child, "value"))
        continue;
      if (!reader.require(child, Node::Kind::Scalar, "text")) continue;
      auto value = parse_value(child.text);
      if (!value) reader.fail(child, value.error());
      if (!key || !value) continue;
      if (!to.emplace(*key, *value).second) {
        reader.fail_key(child, fmt::format("'{}' is given twice, in other letters", *key));
      }
    }
  };
  kind.write = [](const TextMap& values) {
    Node mapping = Node::mapping();
    for (const auto& [key, value] : values) {
      mapping.put(key, Node::quoted_scalar(value)).secret = is_credential(key);
    }
    return mapping.children.empty() ? Node() : mapping;
  };
  return kind;
}

Node write_text(const std::string& value) {
  return value.empty() ? Node() : Node::quoted_scalar(value);
}

}  // namespace

Json or_variable(Json schema) {
  if (schema.contains("$ref")) return schema;  // the definition allows it
  return Json{{"anyOf", Json::array({std::move(schema), reference("variable")})}};
}

Kind<std::string> free_text() {
  return or_empty(text("text"));
}

Kind<std::string> text(std::string name) {
  return checked_text(std::move(name), any_text);
}

Kind<std::string> checked_text(std::string name, TextParser parse) {
  auto kind = scalar_kind<std::string>(
      std::move(name), reference("text"),
      [parse](const std::string& given) { return parse(given); },
      [](const std::string& value) { return value; });
  kind.write = write_text;
  return kind;
}

Kind<bool> flag() {
  return scalar_kind<bool>(
      "true or false", Json{{"type", "boolean"}},
      [](const std::string& given) { return parse_flag(given); },
      [](bool value) { return std::string(value ? "true" : "false"); });
}

Kind<Duration> duration(Duration min, Duration max) {
  auto any = scalar_kind<Duration>(
      "duration", reference("duration"),
      [](const std::string& given) { return parse_duration(given); }, format_duration);
  return within<Duration>(any, min, max, format_duration);
}

Kind<uint64_t> size(uint64_t min, uint64_t max) {
  auto any = scalar_kind<uint64_t>(
      "size", reference("size"), [](const std::string& given) { return parse_size(given); },
      format_size);
  return within<uint64_t>(any, min, max, format_size);
}

Kind<uint64_t> count(uint64_t min, uint64_t max) {
  auto print = [](uint64_t value) { return fmt::format("{}", value); };
  auto any = scalar_kind<uint64_t>(
      "number", Json{{"type", "integer"}, {"minimum", min}, {"maximum", max}},
      [](const std::string& given) { return parse_count(given); }, print);
  return within<uint64_t>(any, min, max, print);
}

Kind<double> share(uint32_t min_percent, uint32_t max_percent) {
  auto any = scalar_kind<double>(
      "share", reference("text"),
      [=](const std::string& given) { return parse_share(given, max_percent); }, format_share);
  return within<double>(any, min_percent / 100.0, max_percent / 100.0, format_share);
}

Kind<std::string> choice(std::vector<std::string> now, std::vector<std::string> later) {
  std::string known = fmt::format("{}", fmt::join(now, ", "));
  auto parse = [=](const std::string& given) -> Fallible<std::string> {
    if (std::find(now.begin(), now.end(), given) != now.end()) return given;
    if (std::find(later.begin(), later.end(), given) != later.end()) {
      return tl::unexpected(not_available(fmt::format("'{}'", given)));
    }
    return tl::unexpected(
        fmt::format("must be one of {}, got '{}'{}", known, given, did_you_mean(given, now)));
  };
  auto kind = scalar_kind<std::string>("word", Json{{"enum", now}}, parse,
                                       [](const std::string& value) { return value; });
  kind.range = known;
  return kind;
}

Kind<TextMap> header_map(EmptyValues empty_values) {
  return map_kind("mapping of header name to value", parse_header_name, parse_header_value,
                  empty_values);
}

Kind<TextMap> text_map() {
  return map_kind("mapping of name to text", any_name, any_text, EmptyValues::Any);
}

}  // namespace tidegate::config
