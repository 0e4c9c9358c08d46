// SPDX-License-Identifier: Apache-2.0
#include "config/schema.h"

#include "config/table.h"

namespace tidegate::config {
namespace {

Json describe(const Section& section) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Field& field : section.fields) {
    if (field.presence == Presence::Later) continue;
    Json property = field.schema;
    property["description"] = field.doc;
    if (!field.default_value.is_null()) property["default"] = field.default_value;
    if (field.presence == Presence::Required) required.push_back(field.key);
    properties[field.key] = std::move(property);
  }
  Json schema{{"type", "object"},
              {"description", section.doc},
              {"additionalProperties", false},
              {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

/// A scalar of its own form, or one that a variable gives.
Json pattern(std::string form) {
  return Json{{"type", "string"}, {"pattern", "^(" + form + ")$|\\$\\{"}};
}

Json definitions() {
  Json text{{"type", Json::array({"string", "number", "boolean"})}};
  Json size{{"anyOf", Json::array({Json{{"type", "integer"}, {"minimum", 0}},
                                   pattern("[0-9]+(KiB|MiB|GiB)?")})}};
  Json duration{{"anyOf", Json::array({Json{{"const", 0}}, pattern("0|[0-9]+(ms|s|m|h)")})}};
  return Json{{"text", std::move(text)},
              {"variable", Json{{"type", "string"}, {"pattern", "\\$\\{"}}},
              {"duration", std::move(duration)},
              {"size", std::move(size)}};
}

}  // namespace

std::string json_schema() {
  Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "Tidegate configuration"}};
  Json defs = definitions();
  for (const Section* section : all_sections()) {
    if (section->path.empty()) {
      schema.update(describe(*section));
    } else {
      defs[section->definition()] = describe(*section);
    }
  }
  schema["$defs"] = std::move(defs);
  return schema.dump(2) + "\n";
}

}  // namespace tidegate::config
