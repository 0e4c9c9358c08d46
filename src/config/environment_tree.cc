// SPDX-License-Identifier: Apache-2.0
// Configuration from TIDEGATE_* variables alone.
#include <fmt/format.h>

#include "config/overlay.h"
#include "config/values.h"

namespace tidegate::config {
namespace {

/// Variables by the suffix after TIDEGATE_; what they hold becomes nodes whose mark is the
/// variable.
class Variables {
 public:
  Variables(const Environment& environment, Errors& errors)
      : environment_(environment), errors_(errors) {}

  static Mark mark(std::string_view suffix) {
    return {std::make_shared<const std::string>(fmt::format("TIDEGATE_{}", suffix)), 0, 0};
  }

  /// An empty variable counts as not set.
  std::optional<std::string> get(std::string_view suffix) const {
    auto value = environment_(fmt::format("TIDEGATE_{}", suffix));
    return value && !value->empty() ? value : std::nullopt;
  }

  Node text(std::string_view suffix, std::string initial) const {
    return Node::scalar(get(suffix).value_or(std::move(initial)), mark(suffix));
  }

  Node seconds(std::string_view suffix, std::string initial) {
    Node node = text(suffix, std::move(initial));
    if (auto number = parse_count(node.text); !number) {
      fail(suffix, "expected a number of seconds, got '" + node.text + "'");
      node.broken = true;
    }
    node.text += "s";
    return node;
  }

  bool flag(std::string_view suffix, bool initial) {
    auto value = get(suffix);
    if (!value) return initial;
    if (auto flag = parse_flag(*value)) return *flag;
    fail(suffix, fmt::format("expected true or false, got '{}'", *value));
    return initial;
  }

  /// The value of a key that only another variable makes necessary.
  Node required(std::string_view suffix, std::string_view by) {
    if (!get(suffix)) {
      fail(suffix, fmt::format("is missing: TIDEGATE_{} needs it, the path of a PEM file", by));
    }
    Node node = text(suffix, "");
    node.broken = node.text.empty();
    return node;
  }

  void refuse_if_set_true(std::string_view suffix, std::string_view feature) {
    if (flag(suffix, false)) fail(suffix, not_available(feature));
  }

  void fail(std::string_view suffix, std::string message) {
    errors_.push_back(Error{mark(suffix), "", std::move(message)});
  }

 private:
  const Environment& environment_;
  Errors& errors_;
};

Node endpoints(const Variables& variables) {
  const char* suffix = variables.get("BACKEND_SERVERS") ? "BACKEND_SERVERS" : "BACKEND_ADDR";
  Node all = variables.text(suffix, "127.0.0.1:3000");
  Node list = Node::sequence(all.mark);
  for (const std::string& server : split_list(all.text)) {
    list.children.push_back(Node::scalar(as_url(server), all.mark));
  }
  return list;
}

Node list_of_one(Node item) {
  Node list = Node::sequence(item.mark);
  list.children.push_back(std::move(item));
  return list;
}

Node tls(Variables& variables) {
  Node certificate = Node::mapping(Variables::mark("ENABLE_TLS"));
  certificate.put("cert", variables.required("TLS_CERT", "ENABLE_TLS"));
  certificate.put("key", variables.required("TLS_KEY", "ENABLE_TLS"));
  Node settings = Node::mapping(certificate.mark);
  settings.put("certificates", list_of_one(std::move(certificate)));
  return settings;
}

}  // namespace

Node environment_tree(const Environment& environment, Errors& errors) {
  Variables variables(environment, errors);
  Mark nowhere{std::make_shared<const std::string>("(environment)"), 0, 0};

  Node listener = Node::mapping(nowhere);
  listener.put("name", Node::scalar("default", nowhere));
  listener.put("address", variables.text("LISTEN_ADDR", "127.0.0.1:8080"));
  listener.put("max_connections", variables.text("MAX_CONNECTIONS", "10000"));
  if (variables.flag("ENABLE_TLS", false)) listener.put("tls", tls(variables));

  Node cluster = Node::mapping(nowhere);
  cluster.put("endpoints", endpoints(variables));
  cluster.put("balancer", variables.text("LOAD_BALANCING_ALGORITHM", "round_robin"));

  if (variables.flag("ENABLE_HEALTH_CHECK", true)) {
    Node check = Node::mapping(Variables::mark("ENABLE_HEALTH_CHECK"));
    check.put("path", variables.text("HEALTH_CHECK_PATH", "/health"));
    check.put("interval", variables.seconds("HEALTH_CHECK_INTERVAL_SECONDS", "30"));
    cluster.put("health_check", std::move(check));
    // On by default, so an origin that knows no such path must not be the end of all service.
    cluster.put("panic_threshold", Node::scalar("1%", nowhere));
  }

  Node route = Node::mapping(nowhere);
  route.put("name", Node::scalar("default", nowhere));
  route.put("cluster", Node::scalar("default", nowhere));
  route.put("timeout", variables.seconds("TIMEOUT_SECONDS", "30"));

  Node admin = Node::mapping(nowhere);
  admin.put("address", variables.flag("ENABLE_METRICS", true)
                           ? variables.text("METRICS_ADDR", "127.0.0.1:9090")
                           : Node::scalar("off", Variables::mark("ENABLE_METRICS")));
  Node log = Node::mapping(nowhere);
  log.put("level", variables.text("LOG_LEVEL", "info"));

  Node clusters = Node::mapping(nowhere);
  clusters.put("default", std::move(cluster));
  Node root = Node::mapping(nowhere);
  root.put("listeners", list_of_one(std::move(listener)));
  root.put("clusters", std::move(clusters));
  root.put("routes", list_of_one(std::move(route)));
  root.put("admin", std::move(admin));
  root.put("log", std::move(log));
  return root;
}

}  // namespace tidegate::config
