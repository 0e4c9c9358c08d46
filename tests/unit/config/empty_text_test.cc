// SPDX-License-Identifier: Apache-2.0
// The empty text where a name belongs, variables that are set and empty, and defaults that are.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <functional>
#include <iterator>

#include "config/expand.h"
#include "config/yaml.h"
#include "unit/config/environment_table.h"

using namespace tidegate::config;

namespace {

const Environment kEnvironment =
    environment_of({{"EMPTY", ""}, {"AUTH", ""}, {"ADMIN_TOKEN", ""}, {"SET", "x"}});

Loaded load_with(const std::string& routes, const std::string& more = "") {
  return load_text(
      "listeners: [{ address: 127.0.0.1:0 }]\n"
      "clusters: { users: { endpoints: [http://10.0.0.1] } }\n" +
          more + "routes: " + routes + "\n",
      config_folder("ok/inline.yaml"), kEnvironment);
}

std::string errors_with(const std::string& routes, const std::string& more = "") {
  return errors_of(load_with(routes, more));
}

}  // namespace

TEST_CASE("C1: an empty name in a route is refused where it stands") {
  const std::string respond = "[{ respond: { body: ok }, ";
  CHECK(errors_with(respond + "limits: [\"\"] }]")
            .ends_with(
                "inline.yaml:3:44: routes[0].limits[0]: expected a limit name, got nothing\n"));
  CHECK(errors_with("[{ cluster: \"\" }]").find("routes[0].cluster: expected a cluster name") !=
        std::string::npos);
  // Alike: a listener that would match any, and names that variables give.
  CHECK(errors_with("[{ cluster: users, match: { listener: \"\" } }]")
            .find("match.listener: expected a listener name") != std::string::npos);
  CHECK(errors_with("[{ cluster: \"${EMPTY}\" }]")
            .find("${EMPTY} is empty; set it, or write ${NAME:-} if there may be none") !=
        std::string::npos);
  CHECK(errors_with(respond + "match: { headers: { x-key: \"${AUTH}\" } } }]")
            .find("headers.x-key: expected a value, got nothing: ${AUTH} is empty") !=
        std::string::npos);
}

TEST_CASE("C2: an empty policy name never means that a policy does not run") {
  for (const char* name : {"\"\"", "\"${AUTH}\"", "${AUTH}", "\"${AUTH}${EMPTY}\""}) {
    CAPTURE(name);
    CHECK(errors_with(std::string("[{ cluster: users, policies: [") + name + "] }]")
              .find("policies[0]: expected a policy name, got nothing") != std::string::npos);
    CHECK(errors_with("[{ cluster: users }]", std::string("default_policies: [") + name + "]\n")
              .find("default_policies[0]: expected a policy name") != std::string::npos);
  }
}

TEST_CASE("C2: a written out empty default leaves a key or an item out") {
  auto loaded = load_with(
      "[{ cluster: users, policies: [\"${AUTH:-}\", \"${NONE:-${AUTH:-}}\"], "
      "limits: [\"${EMPTY:-}\"], match: { listener: \"${EMPTY:-}\" } }]");
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->routes[0].policies.empty());
  CHECK(loaded->routes[0].limits.empty());
  // Not where something stands beside it, and not instead of what must be there.
  CHECK_FALSE(load_with("[{ cluster: users, policies: [\"${AUTH:-}${AUTH:-}\"] }]"));
  CHECK(errors_with("[{ cluster: \"${EMPTY:-}\" }]").find("has nothing to do") !=
        std::string::npos);
}

TEST_CASE("C2: a key that an empty default leaves out was given all the same") {
  CHECK(errors_with("[{ cluster: users, cluster: \"${EMPTY:-}\" }]").find("given twice") !=
        std::string::npos);
  CHECK(errors_with("[{ cluster: \"${EMPTY:-}\", cluster: users }]").find("given twice") !=
        std::string::npos);
}

TEST_CASE("C3: a default may hold variables with defaults of their own") {
  auto environment = environment_of({{"EMPTY", ""}, {"B", "b"}});
  CHECK(expand("${A:-${B:-x}}", environment) == "b");
  CHECK(expand("${A:-${C:-x}}", environment) == "x");
  CHECK(expand("<${A:-1${EMPTY:-2${C:-3}4}5}>", environment) == "<12345>");
  CHECK(expand("${B:-${}", environment).has_value() == false);
  CHECK(expand("${B:-${not a name}}", environment) == "b");  // not used, so not looked at
  CHECK(expand("${A:-$$5}", environment) == "$5");
  CHECK(expand("${A:-${C}}", environment).error().find("'C' is not set") != std::string::npos);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "${A:-";
  deep.append(100'000, '}');
  CHECK(expand(deep, environment).error() == "more than 16 defaults within each other");
  auto loaded = load_with("[{ respond: { body: ${A:-${B:-{x}}, status: 201 } }]");
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->routes[0].respond->body == "{x");
  CHECK(loaded->routes[0].respond->status == 201);
}

TEST_CASE("C4: only an absent key means that there is no admin token") {
  const std::string routes = "[{ cluster: users }]";
  for (const char* token : {"\"${ADMIN_TOKEN}\"", "${ADMIN_TOKEN}", "\"\"", "''"}) {
    CAPTURE(token);
    CHECK(errors_with(routes, std::string("admin: { token: ") + token + " }\n")
              .find("admin.token: expected a token, got nothing") != std::string::npos);
  }
  for (const char* token : {"\"${ADMIN_TOKEN:-}\"", "${NONE:-}", "\"${NONE:-${ADMIN_TOKEN:-}}\""}) {
    CAPTURE(token);
    auto loaded = load_with(routes, std::string("admin: { token: ") + token + " }\n");
    REQUIRE_MESSAGE(loaded, errors_of(loaded));
    CHECK(loaded->admin.token.empty());
  }
  CHECK(load_with(routes, "admin: { token: \"${NONE:-abc}\" }\n")->admin.token == "abc");
}

TEST_CASE("O27: an admin token that no request can show is refused, and not shown") {
  for (const char* token : {"\"abc \"", "\" abc\"", "\"abc\\n\"", "\"a b\"", "\"ab\\u00e9\""}) {
    CAPTURE(token);
    const std::string errors =
        errors_with("[{ cluster: users }]", std::string("admin: { token: ") + token + " }\n");
    CHECK(errors.find("admin.token: holds a space") != std::string::npos);
    CHECK(errors.find("abc") == std::string::npos);
  }
}

TEST_CASE("O27: a loaded config has hosts without the final dot where they are compared") {
  auto loaded = load_text(
      "listeners: [{ address: 127.0.0.1:0 }]\n"
      "clusters: { users: { endpoints: [https://10.0.0.1], tls: { sni: localhost. } } }\n"
      "routes: [{ match: { hosts: [a.example., \"*.B.example.\"] }, host: c.example., cluster: "
      "users "
      "}]\n",
      config_folder("ok/inline.yaml"), kEnvironment);
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(loaded->clusters[0].tls.sni == "localhost");
  CHECK(loaded->routes[0].match.hosts == std::vector<std::string>{"a.example", "*.b.example"});
  CHECK(loaded->routes[0].host == "c.example.");
}

TEST_CASE("an empty outbound_proxy means none, an empty body is one") {
  auto loaded = load_text(
      "listeners: [{ address: 127.0.0.1:0 }]\n"
      "clusters: { users: { endpoints: [http://10.0.0.1], outbound_proxy: \"${EMPTY}\" } }\n"
      "routes: [{ cluster: users }, { match: { path: /x }, respond: { body: \"${EMPTY}\" } }]\n",
      config_folder("ok/inline.yaml"), kEnvironment);
  REQUIRE_MESSAGE(loaded, errors_of(loaded));
  CHECK(!loaded->clusters[0].http_proxy);
  CHECK(loaded->routes[1].respond->body.empty());
}

namespace {

/// Calls `visit` with each scalar below `node` and where it stands.
void each_scalar(Node& node, const std::string& path,
                 const std::function<void(Node&, const std::string&)>& visit) {
  if (node.is_scalar()) visit(node, path);
  for (size_t i = 0; i < node.children.size(); ++i) {
    Node& child = node.children[i];
    const std::string step = child.key.empty() ? fmt::format("[{}]", i) : "." + child.key;
    each_scalar(child, path + step, visit);
  }
}

/// Where the empty text means something of its own.
bool takes_empty(const std::string& path) {
  const auto is_inside = [&path](const char* table) {
    return path.find(table) != std::string::npos;
  };
  return path.ends_with(".respond.body") || path.ends_with(".respond.content_type") ||
         path.ends_with(".outbound_proxy") || is_inside(".options.") || is_inside(".tags.") ||
         is_inside(".respond.headers.");
}

std::string text_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE(
    "C1: every text key of the full config refuses the empty text, or says that it takes it") {
  const std::string file = config_folder("ok/everything.yaml");
  Errors errors;
  auto root = parse_yaml(text_of(file), file, kEnvironment, errors);
  REQUIRE(root);
  int tried = 0;
  each_scalar(*root, "", [&](Node& leaf, const std::string& path) {
    const Node original = leaf;
    for (const char* value : {"", "no-such-name", "${EMPTY}"}) {
      CAPTURE(path);
      CAPTURE(value);
      leaf = Node::quoted_scalar(value);
      leaf.key = original.key;
      std::string text = to_yaml(*root);
      if (*value == '$') text.replace(text.find("$${EMPTY}"), 2, "$");
      const Loaded loaded = load_text(text, file, kEnvironment);
      if (std::string_view(value) == "no-such-name") continue;  // either way, but no crash
      const bool as_written = *value == '\0' && path.find(".match.headers.") != std::string::npos;
      CHECK(loaded.has_value() == (takes_empty(path) || as_written));
    }
    leaf = original;
    ++tried;
  });
  CHECK(tried > 150);
}
