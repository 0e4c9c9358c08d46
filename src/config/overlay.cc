// SPDX-License-Identifier: Apache-2.0
#include "config/overlay.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/strings.h"
#include "config/yaml.h"

namespace tidegate::config {
namespace {

Mark flag_mark(std::string text) {
  return Mark{std::make_shared<const std::string>(std::move(text)), 0, 0};
}

void mark_all(Node& node, const Mark& mark) {
  node.mark = mark;
  node.key_mark = mark;
  for (Node& child : node.children) mark_all(child, mark);
}

/// One assignment into a tree, step by step along its dotted path.
class Assignment {
 public:
  Assignment(std::string path, Node value, Mark mark, Errors& errors)
      : path_(std::move(path)), value_(std::move(value)), mark_(std::move(mark)), errors_(errors) {}

  void apply(Node& root) {
    if (("." + path_ + ".").find("..") != std::string::npos) {
      return fail("an empty name in its path");
    }
    Node* at = &root;
    std::string_view rest = path_;
    while (at) {
      size_t dot = rest.find('.');
      std::string_view step = rest.substr(0, dot);
      at = descend(*at, step);
      if (!at) return;
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    mark_all(value_, mark_);
    value_.key = at->key;
    *at = std::move(value_);
  }

 private:
  void fail(std::string message) { errors_.push_back(Error{mark_, path_, std::move(message)}); }

  Node* descend(Node& node, std::string_view step) {
    auto index = parse_decimal(step, 100'000);
    if (node.kind == Node::Kind::Null) {
      std::string key = node.key;
      node = index ? Node::sequence(mark_) : Node::mapping(mark_);
      node.key = key;
      node.key_mark = mark_;
    }
    if (node.is_mapping()) {
      if (Node* child = node.find(step)) return child;
      Node absent;
      absent.mark = mark_;
      return &node.put(std::string(step), std::move(absent));
    }
    if (!node.is_sequence()) {
      fail(fmt::format("'{}' leads into a value, not a mapping or list", step));
      return nullptr;
    }
    if (!index || *index > node.children.size()) {
      fail(fmt::format("'{}' is not an element of this list of {}", step, node.children.size()));
      return nullptr;
    }
    if (*index == node.children.size()) node.children.emplace_back().mark = mark_;
    return &node.children[*index];
  }

  std::string path_;
  Node value_;
  Mark mark_;
  Errors& errors_;
};

void apply_set(Node& root, const std::string& assignment, const Environment& environment,
               Errors& errors) {
  size_t equals = assignment.find('=');
  // Without the value: messages end in logs, and it may be a secret.
  Mark mark = flag_mark("--set " + (equals == 0 ? "=" : assignment.substr(0, equals)));
  if (equals == std::string::npos || equals == 0) {
    errors.push_back(
        Error{mark, "", "expected key=value, as in --set listeners.0.max_connections=5"});
    return;
  }
  Errors faults;
  auto value = parse_yaml(assignment.substr(equals + 1), mark.name(), environment, faults);
  for (Error& fault : faults) {
    fault.mark = mark;
    errors.push_back(std::move(fault));
  }
  if (!value || value->absent) return;
  Assignment(assignment.substr(0, equals), std::move(*value), mark, errors).apply(root);
}

void apply_listen(Node& root, const std::string& address, Errors& errors) {
  Mark mark = flag_mark("--listen " + address);
  Assignment("listeners.0.address", Node::scalar(address), mark, errors).apply(root);
}

void apply_upstreams(Node& root, const std::vector<std::string>& upstreams, Errors& errors) {
  Mark mark = flag_mark(fmt::format("--upstream {}", fmt::join(upstreams, ",")));
  Node endpoints = Node::sequence();
  for (const std::string& upstream : upstreams) {
    endpoints.children.push_back(Node::scalar(as_url(upstream)));
  }
  const Node* clusters = root.find("clusters");
  if (!clusters || !clusters->is_mapping() || clusters->children.size() != 1) {
    errors.push_back(Error{mark, "",
                           "needs a config with exactly one cluster: use --set "
                           "clusters.NAME.endpoints=[URL] instead"});
    return;
  }
  std::string path = fmt::format("clusters.{}.endpoints", clusters->children[0].key);
  Assignment(path, std::move(endpoints), mark, errors).apply(root);
}

void apply_policy(Node& root, const std::string& script, Errors& errors) {
  Mark mark = flag_mark("--policy " + script);
  std::filesystem::path path(script);
  std::string name = path.stem().string();
  std::error_code ignored;
  Node value = Node::scalar(std::filesystem::absolute(path, ignored).string());
  Assignment("policies." + name + ".script", std::move(value), mark, errors).apply(root);
  const Node* defaults = root.find("default_policies");
  size_t count = defaults ? defaults->children.size() : 0;
  Assignment(fmt::format("default_policies.{}", count), Node::scalar(name), mark, errors)
      .apply(root);
}

}  // namespace

std::string as_url(const std::string& upstream) {
  return upstream.find("://") == std::string::npos ? "http://" + upstream : upstream;
}

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> elements;
  for_each_element(list, [&](std::string_view element) {
    elements.emplace_back(element);
    return true;
  });
  return elements;
}

void overlay(Node& root, const Overrides& overrides, const Environment& environment,
             Errors& errors) {
  if (!overrides.listen.empty()) apply_listen(root, overrides.listen, errors);
  if (!overrides.upstreams.empty()) apply_upstreams(root, overrides.upstreams, errors);
  for (const std::string& script : overrides.policies) apply_policy(root, script, errors);
  for (const std::string& assignment : overrides.sets) {
    apply_set(root, assignment, environment, errors);
  }
}

}  // namespace tidegate::config
