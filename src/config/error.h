// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

namespace tidegate::config {

/// A place in a source of configuration: a file's line and column (both from 1), or, with line 0, a
/// whole source such as a variable or a flag.
struct Mark {
  std::shared_ptr<const std::string> source;
  int line = 0;
  int column = 0;

  const std::string& name() const;
  std::string to_string() const;  // "tidegate.yaml:12:5", "--set admin.address"
};

/// One fault in a configuration.
struct Error {
  Mark mark;
  std::string path;     // "routes[0].cluster"; empty when the fault has no key
  std::string message;  // what is wrong and what to do about it

  std::string to_string() const;  // "tidegate.yaml:12:5: routes[0].cluster: unknown cluster 'x'"
};

using Errors = std::vector<Error>;

/// By source in order of first mention, then by line and column.
void sort_by_position(Errors& errors);
/// One line per error, each ended by a line feed.
std::string to_string(const Errors& errors);

}  // namespace tidegate::config
