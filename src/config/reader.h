// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "config/node.h"

namespace tidegate::config {

/// What binding a tree needs beside it: where in the tree it is, where faults go, and which folder
/// relative paths start from. Remembers each value's position for the checks that come after.
class Reader {
 public:
  Reader(std::string folder, Errors& errors) : folder_(std::move(folder)), errors_(errors) {}

  /// Reports a fault at a value, or (`fail_key`) at its key.
  void fail(const Node& node, std::string message);
  void fail_key(const Node& node, std::string message);

  /// False, and a message unless there was one already, when `node` is not of that kind.
  /// `expected` reads as in "a list of addresses".
  bool require(const Node& node, Node::Kind kind, const std::string& expected);

  /// False, and a message, when `node` is the empty text: `expected` names what it should hold, as
  /// in "policy name".
  bool require_text(const Node& node, const std::string& expected);

  const std::string& path() const { return path_; }
  std::string absolute_path(const std::string& path) const;

  struct Position {
    Mark value;
    Mark key;
  };
  /// By path, "routes[0].cluster".
  const std::map<std::string, Position>& positions() const { return positions_; }
  /// Paths of the values that variables gave, in lower case, since names of headers are put so.
  const std::vector<std::string>& from_variables() const { return from_variables_; }

  /// Goes down to a child for as long as it lives.
  class Step {
   public:
    Step(Reader& reader, const Node& child);                // to child.key
    Step(Reader& reader, const Node& child, size_t index);  // to [index]
    ~Step() { reader_.path_.resize(length_); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    void note(const Node& child);

    Reader& reader_;
    size_t length_;
  };

 private:
  std::string folder_;
  Errors& errors_;
  std::string path_;
  std::map<std::string, Position> positions_;
  std::vector<std::string> from_variables_;
};

}  // namespace tidegate::config
