// SPDX-License-Identifier: Apache-2.0
#include "config/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <map>
#include <sstream>
#include <stdexcept>

#include "config/expand.h"

namespace tidegate::config {
namespace {

constexpr size_t kMaxBytes = 16 * 1024 * 1024;
constexpr size_t kMaxNodes = 200'000;
constexpr int kMaxDepth = 64;

/// Ends the parsing at a fault that leaves nothing to go on with.
struct Refused {
  Error error;
};

/// Builds the tree from yaml-cpp's events. Its own node graph would hide duplicate keys, share
/// aliased nodes and allow a node to contain itself.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::shared_ptr<const std::string> source, const Environment& environment,
              Errors& errors)
      : source_(std::move(source)), environment_(environment), errors_(errors) {}

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.mark = at(mark);
    add(std::move(node), 1, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) refuse(mark, "this alias is inside what it stands for");
    nodes_ += found->second.nodes;
    add(found->second.node, found->second.height, 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = Node::scalar(unshield(value), at(mark));
    node.quoted = tag != "?" && !tag.empty();
    if (!expects_key()) expand_value(node);
    add(std::move(node), 1, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::sequence(at(mark)), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (expects_key()) refuse(mark, "a key must be plain text");
    open(Node::mapping(at(mark)), anchor);
  }
  void OnMapEnd() override {
    merge(frames_.back().node);
    close();
  }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    int height = 1;  // levels below and including this one
    size_t nodes_before = 0;
    bool has_key = false;  // a mapping's key was read, its value comes next
    Node key;
    std::map<std::string, int> keys{};  // and the line of each
  };
  struct Anchored {
    Node node;
    int height = 1;
    size_t nodes = 1;
  };

  Mark at(const YAML::Mark& mark) const { return Mark{source_, mark.line + 1, mark.column + 1}; }
  [[noreturn]] void refuse(const YAML::Mark& mark, std::string why) const {
    throw Refused{Error{at(mark), "", std::move(why)}};
  }
  bool expects_key() const {
    return !frames_.empty() && frames_.back().node.is_mapping() && !frames_.back().has_key;
  }

  void expand_value(Node& node) {
    if (node.text.find('$') == std::string::npos) return;
    auto expanded = expand(node.text, environment_);
    if (expanded) {
      node.absent = expanded->empty() && has_empty_default(node.text);
      if (node.text.find("${") != std::string::npos) node.written = std::move(node.text);
      node.text = std::move(*expanded);
    } else {
      node.broken = true;
      errors_.push_back(Error{node.mark, "", expanded.error()});
    }
  }

  void open(Node node, YAML::anchor_t anchor) {
    if (frames_.size() + 1 > kMaxDepth) throw Refused{Error{node.mark, "", "nested too deeply"}};
    Frame frame;
    frame.node = std::move(node);
    frame.anchor = anchor;
    frame.nodes_before = nodes_;
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.anchor != 0) {
      anchors_[frame.anchor] = {frame.node, frame.height, nodes_ - frame.nodes_before + 1};
    }
    place(std::move(frame.node), frame.height);
  }

  void add(Node node, int height, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = {node, 1, 1};
    place(std::move(node), height);
  }

  void place(Node node, int height) {
    if (++nodes_ > kMaxNodes) throw Refused{Error{node.mark, "", "too many values"}};
    if (static_cast<int>(frames_.size()) + height > kMaxDepth) {
      throw Refused{Error{node.mark, "", "nested too deeply"}};
    }
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    frame.height = std::max(frame.height, height + 1);
    if (frame.node.is_sequence()) {
      if (!node.absent) frame.node.children.push_back(std::move(node));
    } else if (frame.has_key) {
      place_value(frame, std::move(node));
    } else {
      if (!node.is_scalar()) throw Refused{Error{node.mark, "", "a key must be plain text"}};
      frame.key = std::move(node);
      frame.has_key = true;
    }
  }

  void place_value(Frame& frame, Node value) {
    frame.has_key = false;
    value.key = frame.key.text;
    value.key_mark = frame.key.mark;
    // yaml-cpp marks an absent value where the next token is, often lines below.
    if (value.kind == Node::Kind::Null) value.mark = value.key_mark;
    const auto [first, added] = frame.keys.emplace(value.key, value.key_mark.line);
    if (!added) {
      errors_.push_back(Error{value.key_mark, "",
                              fmt::format("'{}' is given twice in this mapping (first in line {}): "
                                          "remove one",
                                          value.key, first->second)});
      return;
    }
    if (!value.absent) frame.node.children.push_back(std::move(value));
  }

  /// `<<`: the keys of the mapping, or list of mappings, it names, where not given here.
  void merge(Node& node) {
    Node* found = node.find("<<");
    if (!found) return;
    Node merged = std::move(*found);
    node.children.erase(node.children.begin() + (found - node.children.data()));
    std::vector<Node> sources;
    if (merged.is_sequence()) {
      sources = std::move(merged.children);
    } else {
      sources.push_back(std::move(merged));
    }
    for (Node& source : sources) {
      if (!source.is_mapping()) {
        throw Refused{Error{source.mark, "", "'<<' takes a mapping or a list of mappings"}};
      }
      for (Node& child : source.children) {
        if (!node.find(child.key)) node.children.push_back(std::move(child));
      }
    }
  }

  std::shared_ptr<const std::string> source_;
  const Environment& environment_;
  Errors& errors_;
  Node root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  size_t nodes_ = 0;
};

/// Length of the UTF-8 sequence at the front of `text`; 0 when there is no valid one.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (length == 0 || first > 0xf4 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (first == 0xe0 && byte(1) < 0xa0) return 0;  // longer than need be
  if (first == 0xed && byte(1) > 0x9f) return 0;  // surrogates
  if (first == 0xf0 && byte(1) < 0x90) return 0;  // longer than need be
  if (first == 0xf4 && byte(1) > 0x8f) return 0;  // past U+10FFFF
  return length;
}

/// Refuses what YAML forbids and `shield` relies on: control bytes, and text that is not UTF-8.
void require_text(std::string_view text, const std::shared_ptr<const std::string>& source) {
  int line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < text.size();) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    size_t length = utf8_length(text.substr(i));
    bool control = (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
    if (length == 0 || control) {
      throw Refused{Error{Mark{source, line, static_cast<int>(i - line_start) + 1}, "",
                          control ? fmt::format("control byte 0x{:02x}: remove it", c)
                                  : "not UTF-8: save the file in that encoding"}};
    }
    if (c == '\n') {
      ++line;
      line_start = i + 1;
    }
    i += length;
  }
}

}  // namespace

std::optional<Node> parse_yaml(std::string_view text, const std::string& source_name,
                               const Environment& environment, Errors& errors) {
  auto source = std::make_shared<const std::string>(source_name);
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  try {
    if (text.size() > kMaxBytes) throw Refused{Error{Mark{source, 1, 1}, "", "over 16 MiB"}};
    require_text(text, source);
    std::istringstream stream(shield(text));
    YAML::Parser parser(stream);
    TreeBuilder builder(source, environment, errors);
    if (!parser.HandleNextDocument(builder)) {
      Node empty;
      empty.mark = Mark{source, 1, 1};
      return empty;
    }
    Node root = builder.take();
    TreeBuilder second(source, environment, errors);
    if (parser.HandleNextDocument(second)) {
      throw Refused{Error{second.take().mark, "", "a second document: put it all into one"}};
    }
    return root;
  } catch (const Refused& refused) {
    errors.push_back(refused.error);
  } catch (const YAML::Exception& exception) {
    errors.push_back(Error{Mark{source, exception.mark.line + 1, exception.mark.column + 1}, "",
                           "not valid YAML: " + unshield(exception.msg)});
  }
  return std::nullopt;
}

}  // namespace tidegate::config
