// SPDX-License-Identifier: Apache-2.0
#include "config/reference.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "config/schema.h"
#include "config/table.h"

using namespace tidegate::config;

TEST_CASE("every field has a sentence, every available one a type and a schema") {
  for (const Section* section : all_sections()) {
    CHECK(section->doc.ends_with('.'));
    std::set<std::string> keys;
    for (const Field& field : section->fields) {
      CAPTURE(section->path + "." + field.key);
      CHECK(field.doc.ends_with('.'));
      CHECK(keys.insert(field.key).second);
      if (field.presence == Presence::Later) continue;
      CHECK(!field.type.empty());
      CHECK(field.schema.is_object());
    }
  }
}

TEST_CASE("every section within another is in the list of sections") {
  auto sections = all_sections();
  for (const Section* section : sections) {
    for (const Field& field : section->fields) {
      if (!field.section) continue;
      CHECK(std::find(sections.begin(), sections.end(), field.section) != sections.end());
    }
  }
}

TEST_CASE("the reference shows defaults, required keys, and apart what is not available") {
  std::string text = reference();
  CHECK(text.find("| `head_timeout` | duration: 1ms to 24h | `10s` |") != std::string::npos);
  CHECK(text.find("| `address` | address | required |") != std::string::npos);
  size_t later = text.find("## Specified, not available in this version");
  REQUIRE(later != std::string::npos);
  CHECK(text.find("| `tracing` |") > later);
  CHECK(text.find("| `tracing` |", later) != std::string::npos);
}

TEST_CASE("the schema knows available keys only, and every reference in it leads somewhere") {
  auto schema = nlohmann::json::parse(json_schema());
  CHECK(schema["properties"].contains("listeners"));
  CHECK_FALSE(schema["properties"].contains("tracing"));
  CHECK(schema["$defs"]["listeners"]["properties"]["head_timeout"]["default"] == "10s");
  std::string text = schema.dump();
  const std::string kReference = "\"$ref\":\"#/$defs/";
  int references = 0;
  for (size_t at = text.find(kReference); at != std::string::npos; at = text.find(kReference, at)) {
    at += kReference.size();
    CHECK(schema["$defs"].contains(text.substr(at, text.find('"', at) - at)));
    ++references;
  }
  CHECK(references > 20);
}
