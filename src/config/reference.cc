// SPDX-License-Identifier: Apache-2.0
#include "config/reference.h"

#include <fmt/format.h>

#include "config/table.h"

namespace tidegate::config {
namespace {

constexpr std::string_view kForms =
    "Durations are `250ms`, `30s`, `5m`, `1h`; sizes `512` (bytes), `64KiB`, `10MiB`, `1GiB`.\n"
    "`${NAME}` and `${NAME:-default}` stand for environment variables anywhere in a value; `$$` is "
    "a\n"
    "`$`. Relative paths start from the folder of the config file. An unknown key is an error.\n";

std::string title(const Section& section) {
  return section.path.empty() ? "Top level" : fmt::format("`{}`", section.path);
}

/// GitHub's anchor of a heading: lower case, no punctuation but '-' and '_'.
std::string anchor(const Section& section) {
  std::string out;
  for (char c : title(section)) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (kept) out += c;
    if (c == ' ') out += '-';
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string type_of(const Field& field) {
  std::string type = escaped(field.type);
  if (field.section) type = fmt::format("[{}](#{})", type, anchor(*field.section));
  return field.range.empty() ? type : fmt::format("{}: {}", type, escaped(field.range));
}

std::string default_of(const Field& field) {
  if (field.presence == Presence::Required) return "required";
  return field.default_text.empty() ? "" : fmt::format("`{}`", field.default_text);
}

void describe(std::string& out, const Section& section) {
  out += fmt::format("\n## {}\n\n{}\n\n", title(section), section.doc);
  out += "| key | type | default | meaning |\n|---|---|---|---|\n";
  for (const Field& field : section.fields) {
    if (field.presence == Presence::Later) continue;
    out += fmt::format("| `{}` | {} | {} | {} |\n", field.key, type_of(field), default_of(field),
                       escaped(field.doc));
  }
}

void describe_later(std::string& out) {
  out +=
      "\n## Specified, not available in this version\n\nUsing one of these keys is an error.\n\n";
  out += "| key | meaning |\n|---|---|\n";
  for (const Section* section : all_sections()) {
    for (const Field& field : section->fields) {
      if (field.presence != Presence::Later) continue;
      std::string dot = section->path.empty() ? "" : ".";
      out += fmt::format("| `{}{}{}` | {} |\n", section->path, dot, field.key, escaped(field.doc));
    }
  }
}

}  // namespace

std::string reference() {
  std::string out = "# Configuration reference\n\n";
  out += kForms;
  for (const Section* section : all_sections()) describe(out, *section);
  describe_later(out);
  return out;
}

}  // namespace tidegate::config
