// SPDX-License-Identifier: Apache-2.0
// Routes, matches and their actions.
#include "config/table.h"

namespace tidegate::config {
namespace {

using namespace std::chrono_literals;

Kind<std::string> wildcard_host_kind() {
  return checked_text("host", [](std::string_view given) { return parse_host(given, true); });
}

Kind<Route> host_kind() {
  Kind<Route> kind{"origin, preserve or a host", "", Json{{"$ref", "#/$defs/text"}}, {}, {}};
  kind.read = [](Reader& reader, const Node& node, Route& to) {
    if (!reader.require(node, Node::Kind::Scalar, "origin, preserve or a host")) return;
    to.host.clear();
    if (node.text == "origin") {
      to.host_mode = HostMode::Origin;
    } else if (node.text == "preserve") {
      to.host_mode = HostMode::Preserve;
    } else if (auto host = parse_host(node.text, false)) {
      to.host_mode = HostMode::Literal;
      to.host = *host;
    } else {
      reader.fail(node, host.error());
    }
  };
  kind.write = [](const Route& route) {
    if (route.host_mode == HostMode::Origin) return Node::scalar("origin");
    if (route.host_mode == HostMode::Preserve) return Node::scalar("preserve");
    return Node::quoted_scalar(route.host);
  };
  return kind;
}

Kind<uint16_t> status_kind(uint16_t min, uint16_t max) {
  return narrow<uint16_t>(count(min, max));
}

Kind<uint16_t> redirect_status_kind() {
  auto kind =
      enumeration<uint16_t>({{"301", 301}, {"302", 302}, {"303", 303}, {"307", 307}, {"308", 308}});
  kind.name = "number";
  kind.schema = or_variable(Json{{"enum", {301, 302, 303, 307, 308}}});
  return kind;
}

}  // namespace

const Section& match_section() {
  static const Section kSection =
      SectionOf<Match>(
          "routes[].match",
          "Which requests a route takes; all keys given must hold. An exact path goes "
          "before the longest prefix, an exact host before a wildcard before any, then "
          "the order in the file.")
          .field("hosts", &Match::hosts, list_of(wildcard_host_kind()),
                 "Host names; `*.example.com` is every name below; none: any.")
          .field("path", &Match::path, checked_text("path", parse_path), "The whole path.")
          .field("path_prefix", &Match::path_prefix, checked_text("path", parse_path),
                 "The path's first segments: `/api` takes `/api` and `/api/x`, not `/apix`.")
          .field("methods", &Match::methods, list_of(checked_text("method", parse_method)),
                 "Methods; none: any.")
          .field("headers", &Match::headers, header_map(EmptyValues::AsWritten),
                 "Headers and their exact values.")
          .field("listener", &Match::listener, text("listener name"),
                 "Name of the listener it came in by.");
  return kSection;
}

const Section& respond_section() {
  static const Section kSection =
      SectionOf<Respond>("routes[].respond", "A fixed answer.")
          .field("status", &Respond::status, status_kind(200, 599), "Status code.")
          .field("body", &Respond::body, free_text(), "The body.")
          .field("content_type", &Respond::content_type,
                 or_empty(checked_text("text", parse_header_value)), "Its `content-type`.")
          .field("headers", &Respond::headers, header_map(EmptyValues::Any), "Further headers.");
  return kSection;
}

const Section& redirect_section() {
  static const Section kSection =
      SectionOf<Redirect>("routes[].redirect",
                          "Sends the client elsewhere; a plain text stands for `{ to: TEXT }`.")
          .required("to", &Redirect::to, checked_text("path or URL", parse_redirect_target),
                    "Path or URL; `{path}` and `{query}` stand for the request's.")
          .field("status", &Redirect::status, redirect_status_kind(), "Status code.");
  return kSection;
}

const Section& route_section() {
  static const Section kSection =
      SectionOf<Route>(
          "routes[]",
          "A match and what to do: exactly one of `cluster`, `respond`, `redirect` and "
          "`echo`.")
          .field("name", &Route::name, checked_text("name", parse_name),
                 "What logs and metrics call it; by default `routes.INDEX`.")
          .field("match", &Route::match, nested<Match>(match_section()),
                 "Which requests; left out: all.")
          .field("cluster", &Route::cluster, text("cluster name"), "Forward to this cluster.")
          .field("respond", &Route::respond, optional(nested<Respond>(respond_section())),
                 "Answer with this.")
          .field("redirect", &Route::redirect, optional(redirect_kind()), "Redirect there.")
          .field("echo", &Route::echo, flag(), "Answer with what was asked; for trying things out.")
          .field("strip_prefix", &Route::strip_prefix, flag(),
                 "Take `match.path_prefix` off before forwarding.")
          .field("replace_prefix", &Route::replace_prefix, checked_text("path", parse_path),
                 "Put this where `strip_prefix` took the prefix.")
          .field("host", host_kind(),
                 "The Host that the origin sees: `origin` (its own), `preserve`, or a literal.")
          .field("timeout", &Route::timeout, duration(0ms, 24h),
                 "From the request's end to the response head; 0s: unlimited.")
          .field("idle_timeout", &Route::idle_timeout, duration(0ms, 24h),
                 "Without a byte either way; 0s: unlimited.")
          .field("exchange_timeout", &Route::exchange_timeout, duration(0ms, 168h),
                 "The whole exchange; 0s: unlimited.")
          .field("deadline_header", &Route::deadline_header,
                 checked_text("header name", parse_header_name),
                 "Header that tells the origin how many milliseconds are left for its response; "
                 "none by default. gRPC requests carry `grpc-timeout`, which is kept true anyway.")
          .field("policies", &Route::policies, list_of(text("policy name")),
                 "After `default_policies`, in order for requests, reversed for responses.")
          .field("limits", &Route::limits, list_of(text("limit name")),
                 "Rate limits by name, taken in this order, before the policies; one that refuses "
                 "leaves those before it charged.")
          .field("max_requests", &Route::max_requests, count(0, UINT32_MAX),
                 "Requests under way at once, over all workers; over it: 503; 0: unlimited.")
          .field(
              "max_requests_per_client", &Route::max_requests_per_client, count(0, UINT32_MAX),
              "The same for each client address (IPv6: each /64), counted for each route; over it: "
              "429.")
          .later("async", "The asynchronous executor.")
          .field("max_body", &Route::max_body, size(0, 1ULL << 50),
                 "Largest request body; over it: 413; 0: unlimited.")
          .field("allow_encoded_slashes", &Route::allow_encoded_slashes, flag(),
                 "Let `%2F` and `%5C` pass; otherwise: 400.")
          .field(
              "allow_connect", &Route::allow_connect, flag(),
              "Let CONNECT pass, as a tunnel over TCP to an endpoint of the cluster, whatever host "
              "it names; bytes pass as they are, TLS in them is the client's. It matches by host "
              "and with the path `/`; otherwise: 501.");
  return kSection;
}

}  // namespace tidegate::config
