// SPDX-License-Identifier: Apache-2.0
#include "config/reader.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/strings.h"
#include "config/values.h"

namespace tidegate::config {

void Reader::fail(const Node& node, std::string message) {
  errors_.push_back(Error{node.mark, path_, std::move(message)});
}

void Reader::fail_key(const Node& node, std::string message) {
  errors_.push_back(Error{node.where(), path_, std::move(message)});
}

bool Reader::require(const Node& node, Node::Kind kind, const std::string& expected) {
  if (node.broken) return false;
  if (node.kind == kind) return true;
  fail(node, fmt::format("expected {}, got {}", expected, node.describe()));
  return false;
}

bool Reader::require_text(const Node& node, const std::string& expected) {
  if (node.broken || !node.is_scalar() || !node.text.empty()) return true;
  const std::string what = fmt::format("expected {}, got nothing", with_article(expected));
  if (node.written.empty()) {
    fail(node, what);
  } else {
    fail(node, fmt::format("{}: {} is empty; set it, or write ${{NAME:-}} if there may be none",
                           what, node.written));
  }
  return false;
}

std::string Reader::absolute_path(const std::string& path) const {
  std::error_code ignored;
  auto joined = std::filesystem::path(folder_) / path;
  return std::filesystem::absolute(joined, ignored).lexically_normal().string();
}

void Reader::Step::note(const Node& child) {
  reader_.positions_[reader_.path_] = {child.mark, child.where()};
  if (!child.written.empty()) reader_.from_variables_.push_back(ascii_lower(reader_.path_));
}

Reader::Step::Step(Reader& reader, const Node& child)
    : reader_(reader), length_(reader.path_.size()) {
  if (!reader.path_.empty()) reader.path_ += '.';
  reader.path_ += child.key;
  note(child);
}

Reader::Step::Step(Reader& reader, const Node& child, size_t index)
    : reader_(reader), length_(reader.path_.size()) {
  reader.path_ += fmt::format("[{}]", index);
  note(child);
}

}  // namespace tidegate::config
