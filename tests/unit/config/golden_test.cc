// SPDX-License-Identifier: Apache-2.0
// Every file of tests/config/ok must load and dump as the .dump beside it, which holds only what
// differs from the defaults; everything.dump holds those too, so that a new key changes one file.
// Every file of tests/config/bad must be refused with the messages of
// the .errors beside it; the printed schema and reference are recorded too. After a deliberate
// change: TIDEGATE_REWRITE_GOLDEN=1 unit_config, then read the diff.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "config/dump.h"
#include "config/reference.h"
#include "config/schema.h"
#include "config/table.h"
#include "config/yaml.h"
#include "unit/config/environment_table.h"

using namespace tidegate::config;
namespace fs = std::filesystem;

namespace {

const Environment kEnvironment = environment_of(
    {{"PORT", "9999"}, {"HOST", "10.1.2.3"}, {"NAME", "from-variable"}, {"EMPTY", ""}});

std::vector<fs::path> yaml_files(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(config_folder(folder))) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Paths as they would be wherever the sources lie.
std::string without_folder(std::string text) {
  const std::string folder = TIDEGATE_SOURCE_DIR "/tests/config/";
  for (size_t at; (at = text.find(folder)) != std::string::npos;) text.erase(at, folder.size());
  return text;
}

void remove_defaults(Node& struct_node, const Section& section);

/// True when nothing is left of the value of a key.
bool is_default(Node& value, const Field& field) {
  if (field.section == nullptr || value.is_scalar()) {
    return to_inline_yaml(value) == to_inline_yaml(field.initial);
  }
  const bool one_struct = value.is_mapping() && !field.type.starts_with("mapping of name");
  if (one_struct) {
    remove_defaults(value, *field.section);
    return value.children.empty() && field.initial.is_mapping();
  }
  for (Node& item : value.children) {
    if (item.is_mapping()) remove_defaults(item, *field.section);
  }
  return false;
}

void remove_defaults(Node& struct_node, const Section& section) {
  std::erase_if(struct_node.children, [&](Node& value) {
    const Field* field = section.find(value.key);
    return is_default(value, *field) && field->presence != Presence::Required;
  });
}

/// `masked`: as users see it; else the mask would hide what is to be seen here.
std::string dump_without_defaults(const Snapshot& snapshot, bool masked) {
  Node root = masked ? masked_tree(snapshot) : snapshot_section().write(&snapshot);
  remove_defaults(root, snapshot_section());
  return to_yaml(root);
}

void compare(const fs::path& golden, const std::string& actual) {
  if (std::getenv("TIDEGATE_REWRITE_GOLDEN")) std::ofstream(golden, std::ios::binary) << actual;
  CHECK(actual == read(golden));
}

}  // namespace

TEST_CASE("good files load and dump as recorded") {
  auto files = yaml_files("ok");
  CHECK(files.size() >= 15);
  for (fs::path file : files) {
    CAPTURE(file.filename().string());
    auto loaded = load_file(file.string(), kEnvironment);
    CHECK_MESSAGE(loaded.has_value(), (loaded ? "" : to_string(loaded.error())));
    if (!loaded) continue;
    const bool masked = file.stem() == "secrets_are_masked";
    const bool whole = file.stem() == "everything";
    compare(file.replace_extension(".dump"),
            without_folder(whole ? dump(*loaded) : dump_without_defaults(*loaded, masked)));
  }
}

TEST_CASE("bad files are refused with the recorded messages") {
  auto files = yaml_files("bad");
  CHECK(files.size() >= 50);
  for (fs::path file : files) {
    CAPTURE(file.filename().string());
    auto loaded = load_file(file.string(), kEnvironment);
    CHECK_FALSE(loaded.has_value());
    if (loaded) continue;
    for (const Error& error : loaded.error()) CHECK(error.mark.line > 0);
    compare(file.replace_extension(".errors"), without_folder(to_string(loaded.error())));
  }
}

namespace {

void collect_keys(const Node& value, const Field& field, std::set<std::string>& keys);

void collect_keys(const Node& struct_node, const Section& section, std::set<std::string>& keys) {
  for (const Node& child : struct_node.children) {
    const Field* field = section.find(child.key);
    keys.insert(section.path + " " + child.key);
    collect_keys(child, *field, keys);
  }
}

void collect_keys(const Node& value, const Field& field, std::set<std::string>& keys) {
  if (field.section == nullptr) return;
  if (value.is_mapping() && !field.type.starts_with("mapping of name")) {
    return collect_keys(value, *field.section, keys);
  }
  for (const Node& item : value.children) {
    if (item.is_mapping()) collect_keys(item, *field.section, keys);
  }
}

}  // namespace

TEST_CASE("everything.yaml holds every key") {
  Errors errors;
  const auto root =
      parse_yaml(read(config_folder("ok/everything.yaml")), "everything", kEnvironment, errors);
  REQUIRE(root);
  std::set<std::string> keys;
  collect_keys(*root, snapshot_section(), keys);
  for (const Section* section : all_sections()) {
    for (const Field& field : section->fields) {
      if (field.presence == Presence::Later) continue;
      CAPTURE(section->path);
      CAPTURE(field.key);
      CHECK(keys.contains(section->path + " " + field.key));
    }
  }
}

TEST_CASE("a dump loads as the same configuration, but for what it masks") {
  for (const fs::path& file : yaml_files("ok")) {
    CAPTURE(file.filename().string());
    auto loaded = load_file(file.string(), kEnvironment);
    REQUIRE(loaded);
    // Without the mask, since it hides what has to be there.
    std::string first = to_yaml(snapshot_section().write(&*loaded));
    auto again = load_text(first, file.string(), environment_of({}));
    REQUIRE_MESSAGE(again, (again ? "" : to_string(again.error())));
    CHECK(to_yaml(snapshot_section().write(&*again)) == first);
  }
}

TEST_CASE("the schema and the reference are as recorded") {
  compare(config_folder("schema.json"), json_schema());
  compare(config_folder("reference.md"), reference());
}
