// SPDX-License-Identifier: Apache-2.0
// Kinds that are particular to one section of the table.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/strings.h"
#include "config/table.h"

namespace tidegate::config {
namespace {

/// Whatever a script is told may be a key to something, under whichever name.
void mask_leaves(Node& node) {
  if (node.children.empty()) node.secret = true;
  for (Node& child : node.children) mask_leaves(child);
}

/// Something broken inside leaves the options as they were.
bool any_broken(const Node& node) {
  return node.broken || std::any_of(node.children.begin(), node.children.end(), any_broken);
}

struct FileKind {
  std::string expected;  // "the path of a Lua file"
  std::string what;      // "script"
};

void read_path(const FileKind& kind, Reader& reader, const Node& node, std::string& to) {
  if (!reader.require(node, Node::Kind::Scalar, kind.expected)) return;
  if (node.text.find('\0') != std::string::npos) {
    return reader.fail(node, fmt::format("expected {}, got a NUL in it", kind.expected));
  }
  to = reader.absolute_path(node.text);
  std::error_code error;
  auto status = std::filesystem::status(to, error);
  if (!std::filesystem::exists(status)) {
    reader.fail(node,
                fmt::format("{} '{}' does not exist (looked for {})", kind.what, node.text, to));
  } else if (!std::filesystem::is_regular_file(status)) {
    reader.fail(node, fmt::format("{} '{}' is not a file", kind.what, node.text));
  } else if (access(to.c_str(), R_OK) != 0) {
    reader.fail(node,
                fmt::format("{} '{}' cannot be read: {}", kind.what, node.text, strerror(errno)));
  }
}

}  // namespace

void make_absolute(Reader& reader, const Node& node, Address& address) {
  if (!address.is_unix) return;
  address.host = reader.absolute_path(address.host);
  if (std::string fault = fault_of_unix_path(address.host); !fault.empty()) {
    reader.fail(node, std::move(fault));
  }
}

Kind<Address> address_kind() {
  Kind<Address> kind = scalar_kind<Address>(
      "address", Json{{"$ref", "#/$defs/text"}},
      [](const std::string& given) { return parse_address(given); },
      [](const Address& address) {
        return address.host.empty() ? std::string() : address.to_string();
      });
  kind.read = [parse = kind.read](Reader& reader, const Node& node, Address& to) {
    Address given;
    parse(reader, node, given);
    if (given.host.empty()) return;
    make_absolute(reader, node, given);
    to = std::move(given);
  };
  return kind;
}

Kind<Endpoint> endpoint_kind() {
  Kind<Endpoint> full = nested<Endpoint>(endpoint_section());
  Kind<Endpoint> kind = full;
  kind.name = "URL or mapping";
  kind.schema = Json{{"anyOf", Json::array({Json{{"$ref", "#/$defs/text"}}, full.schema})}};
  kind.read = [full](Reader& reader, const Node& node, Endpoint& to) {
    if (node.is_mapping()) return full.read(reader, node, to);
    Node mapping = Node::mapping(node.mark);
    if (!reader.require(node, Node::Kind::Scalar, "a URL or a mapping with url")) return;
    to.origin = {node.mark.name(), node.mark.line};
    endpoint_section().find("url")->read(reader, node, &to);
  };
  return kind;
}

Kind<Redirect> redirect_kind() {
  Kind<Redirect> full = nested<Redirect>(redirect_section());
  Kind<Redirect> kind = full;
  kind.name = "path, URL or mapping";
  kind.schema = Json{{"anyOf", Json::array({Json{{"$ref", "#/$defs/text"}}, full.schema})}};
  kind.read = [full](Reader& reader, const Node& node, Redirect& to) {
    if (node.is_mapping()) return full.read(reader, node, to);
    if (!reader.require(node, Node::Kind::Scalar, "a path, a URL or a mapping with to")) return;
    redirect_section().find("to")->read(reader, node, &to);
  };
  return kind;
}

Kind<std::string> script_path_kind() {
  Kind<std::string> kind = text("path of a Lua file");
  kind.read = [](Reader& reader, const Node& node, std::string& to) {
    read_path({"the path of a Lua file", "script"}, reader, node, to);
  };
  return kind;
}

Kind<std::string> readable_file_kind(const std::string& what) {
  Kind<std::string> kind = text("path of a file");
  kind.read = [what](Reader& reader, const Node& node, std::string& to) {
    read_path({"the path of a file", what}, reader, node, to);
  };
  return kind;
}

Kind<std::string> options_kind() {
  Kind<std::string> kind{"mapping of any values", "", Json{{"type", "object"}}, {}, {}};
  kind.read = [](Reader& reader, const Node& node, std::string& to) {
    if (!reader.require(node, Node::Kind::Mapping, "a mapping of options") || any_broken(node))
      return;
    to = to_json(node).dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  kind.write = [](const std::string& json) {
    Node options = from_json(Json::parse(json));
    if (options.children.empty()) return Node();
    mask_leaves(options);
    return options;
  };
  return kind;
}

}  // namespace tidegate::config
