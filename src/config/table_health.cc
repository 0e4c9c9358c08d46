// SPDX-License-Identifier: Apache-2.0
// What takes endpoints out of use.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "config/table.h"

namespace tidegate::config {
namespace {

using namespace std::chrono_literals;

std::optional<uint16_t> parse_status(std::string_view text) {
  const auto status = parse_decimal(text, 599);
  if (!status || *status < 100) return std::nullopt;
  return static_cast<uint16_t>(*status);
}

/// Appends what "200", "200-299" or a comma list of such names.
Fallible<void> add_statuses(std::string_view text, StatusSet& to) {
  const bool fine = !text.empty() && for_each_element(text, [&](std::string_view element) {
    const size_t dash = element.find('-');
    const auto first = parse_status(element.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : parse_status(element.substr(dash + 1));
    if (!first || !last || *first > *last) return false;
    to.ranges.emplace_back(*first, *last);
    return true;
  });
  if (fine) return {};
  return tl::unexpected(fmt::format(
      "expected statuses from 100 to 599 such as 200, 200-299 or [200, 301-302], got '{}'", text));
}

Node write_range(const std::pair<uint16_t, uint16_t>& range) {
  const auto& [first, last] = range;
  return Node::scalar(first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last));
}

}  // namespace

Kind<StatusSet> status_set_kind() {
  const Json one{{"anyOf", {Json{{"type", "integer"}}, Json{{"$ref", "#/$defs/text"}}}}};
  Kind<StatusSet> kind{"statuses",
                       "",
                       Json{{"anyOf",
                             {Json{{"type", "integer"}}, Json{{"$ref", "#/$defs/text"}},
                              Json{{"type", "array"}, {"items", one}}}}},
                       {},
                       {}};
  kind.read = [](Reader& reader, const Node& node, StatusSet& to) {
    to.ranges.clear();
    const auto read_one = [&](const Node& from) {
      if (!reader.require(from, Node::Kind::Scalar, "a status or a range of them")) return;
      if (const auto added = add_statuses(from.text, to); !added) reader.fail(from, added.error());
    };
    if (node.kind != Node::Kind::Sequence) return read_one(node);
    if (node.children.empty()) reader.fail(node, "needs at least one status");
    for (size_t i = 0; i < node.children.size(); ++i) {
      Reader::Step step(reader, node.children[i], i);
      read_one(node.children[i]);
    }
  };
  kind.write = [](const StatusSet& set) {
    if (set.ranges.size() == 1) return write_range(set.ranges.front());
    Node list = Node::sequence();
    for (const auto& range : set.ranges) list.children.push_back(write_range(range));
    return list.children.empty() ? Node() : list;
  };
  return kind;
}

namespace {

constexpr size_t kMaxService = 100;  // its length fits one byte of the protobuf message

Fallible<std::string> parse_check_path(std::string_view given) {
  const bool fine = given.starts_with('/') && std::ranges::all_of(given, [](char c) {
                      return c > ' ' && c < 0x7f && c != '#';
                    });
  if (fine) return std::string(given);
  return tl::unexpected(
      fmt::format("expected a path such as /health or /health?deep=1, got '{}'", given));
}

Fallible<std::string> parse_service(std::string_view given) {
  if (given.size() <= kMaxService) return std::string(given);
  return tl::unexpected(fmt::format("must be {} bytes at most", kMaxService));
}

Kind<std::string> check_host_kind() {
  return checked_text("host", [](std::string_view given) { return parse_header_value(given); });
}

}  // namespace

const Section& health_check_section() {
  static const Section kSection =
      SectionOf<HealthCheck>(
          "clusters.NAME.health_check",
          "Asks each endpoint whether it is well, once per process, on connections of its own made "
          "like those that carry traffic. An endpoint counts as healthy until its first check, "
          "which decides at once.")
          .field("type", &HealthCheck::type,
                 enumeration<HealthCheckType>({{"http", HealthCheckType::Http},
                                               {"tcp", HealthCheckType::Tcp},
                                               {"grpc", HealthCheckType::Grpc}}),
                 "`http`: a GET; `tcp`: that a connection can be made is enough, TLS included "
                 "where endpoints have it; `grpc`: grpc.health.v1.Health.")
          .field("path", &HealthCheck::path, checked_text("path", parse_check_path),
                 "What `http` asks for; may have a query.")
          .field("host", &HealthCheck::host, check_host_kind(),
                 "The Host it asks with; none: the endpoint's own.")
          .field("status", &HealthCheck::status, status_set_kind(), "Statuses that pass.")
          .field("body", &HealthCheck::body, text("text to find"),
                 "Text that must stand in the first 64 KiB of the body; none: any body will do.")
          .field("service", &HealthCheck::service, checked_text("service name", parse_service),
                 "The service that `grpc` asks about; none: the server as a whole.")
          .field("interval", &HealthCheck::interval, duration(10ms, 24h),
                 "From the end of a check to the next.")
          .field("jitter", &HealthCheck::jitter, share(0, 100),
                 "Share of `interval` that it varies by, either way.")
          .field("timeout", &HealthCheck::timeout, duration(1ms, 1h),
                 "A check that takes longer has failed.")
          .field("healthy_after", &HealthCheck::healthy_after, count32(1, 1000),
                 "Checks in a row that must pass before an unhealthy endpoint is used again.")
          .field("unhealthy_after", &HealthCheck::unhealthy_after, count32(1, 1000),
                 "Checks in a row that must fail before a healthy endpoint is no longer used.");
  return kSection;
}

const Section& breaker_section() {
  static const Section kSection =
      SectionOf<Breaker>("clusters.NAME.breaker",
                         "Takes an endpoint out of use that fails, and tries it again. Failures "
                         "are: no connection, "
                         "a connection that breaks or nonsense instead of a response, time-outs of "
                         "the origin, and "
                         "`failure_status`.")
          .field("max_failures", &Breaker::max_failures, count32(0, 1'000'000),
                 "Failures in a row that open it; 0: their number alone does not.")
          .field("failure_rate", &Breaker::failure_rate, share(0, 100),
                 "Share of failures among the requests in `window` that opens it; 0%: it does not.")
          .field("window", &Breaker::window, duration(100ms, 1h),
                 "What `failure_rate` looks back on.")
          .field("min_requests", &Breaker::min_requests, count32(1, 1'000'000),
                 "Requests in `window` before `failure_rate` counts.")
          .field("recovery_timeout", &Breaker::recovery_timeout, duration(1ms, 24h),
                 "How long it stays open; twice as long each time it opens again soon.")
          .field("max_recovery_timeout", &Breaker::max_recovery_timeout, duration(1ms, 24h),
                 "The longest it stays open.")
          .field("half_open_requests", &Breaker::half_open_requests, count32(1, 1000),
                 "Trial requests after that, at most so many at once; it closes when as many have "
                 "succeeded, and opens again when one fails.")
          .field("trial_timeout", &Breaker::trial_timeout, duration(1ms, 24h),
                 "How long a trial keeps others from starting. One that takes longer goes on, and "
                 "its outcome counts, but another may start beside it.")
          .field(
              "max_ejected", &Breaker::max_ejected, share(0, 100),
              "Share of the cluster's endpoints whose breakers may be open; one may in any case.")
          .field("failure_status", &Breaker::failure_status, status_set_kind(),
                 "Statuses of the origin that count as failures.");
  return kSection;
}

}  // namespace tidegate::config
