// SPDX-License-Identifier: Apache-2.0
// Listeners, admin and log.
#include <fmt/format.h>

#include <algorithm>

#include "base/limits.h"
#include "config/table.h"

namespace tidegate::config {
namespace {

using namespace std::chrono_literals;

Kind<Cidr> cidr_kind() {
  return scalar_kind<Cidr>(
      "CIDR block", Json{{"$ref", "#/$defs/text"}},
      [](const std::string& given) -> Fallible<Cidr> {
        if (auto block = Cidr::parse(given)) return *block;
        return tl::unexpected("expected an address or CIDR block such as 10.0.0.0/8, got '" +
                              given + "'");
      },
      [](const Cidr& block) { return block.to_string(); });
}

constexpr std::string_view kUnixPeers = "unix";

/// Blocks, and the word that stands for whoever comes by a unix socket.
Kind<Listener> trusted_kind() {
  Kind<Cidr> block = cidr_kind();
  Kind<Listener> kind{"list of CIDR blocks and `unix`", "", list_of(block).schema, {}, {}};
  kind.read = [block](Reader& reader, const Node& node, Listener& to) {
    if (!reader.require(node, Node::Kind::Sequence, "a list")) return;
    to.trusted_proxies.clear();
    to.trust_unix = false;
    for (size_t i = 0; i < node.children.size(); ++i) {
      const Node& child = node.children[i];
      Reader::Step step(reader, child, i);
      if (child.is_scalar() && child.text == kUnixPeers) {
        to.trust_unix = true;
      } else {
        block.read(reader, child, to.trusted_proxies.emplace_back());
      }
    }
  };
  kind.write = [block](const Listener& listener) {
    Node list = list_of(block).write(listener.trusted_proxies);
    if (!listener.trust_unix) return list;
    if (list.kind == Node::Kind::Null) list = Node::sequence();
    list.children.push_back(Node::scalar(std::string(kUnixPeers)));
    return list;
  };
  return kind;
}

Kind<std::optional<uint32_t>> permissions_kind() {
  return scalar_kind<std::optional<uint32_t>>(
      "octal file mode", Json{{"$ref", "#/$defs/text"}},
      [](const std::string& given) -> Fallible<std::optional<uint32_t>> {
        const bool octal = !given.empty() && given.size() <= 4 &&
                           given.find_first_not_of("01234567") == std::string::npos;
        const unsigned long mode = octal ? std::stoul(given, nullptr, 8) : 01000;
        if (mode <= 0777) return static_cast<uint32_t>(mode);
        return tl::unexpected("expected an octal file mode such as \"0660\", got '" + given + "'");
      },
      [](const std::optional<uint32_t>& mode) {
        return mode ? fmt::format("{:04o}", *mode) : std::string();
      });
}

Kind<std::optional<Address>> address_or_off() {
  Kind<Address> on = address_kind();
  Kind<std::optional<Address>> kind{"address, or off", "", on.schema, {}, {}};
  kind.read = [on](Reader& reader, const Node& node, std::optional<Address>& to) {
    if (node.is_scalar() && node.text == "off") {
      to.reset();
    } else {
      on.read(reader, node, to.emplace());
    }
  };
  kind.write = [on](const std::optional<Address>& address) {
    return address ? on.write(*address) : Node::scalar("off");
  };
  return kind;
}

/// A token that an Authorization field can carry; any other could never match. The error message
/// does not show it.
Fallible<std::string> parse_token(std::string_view given) {
  const bool fine = std::ranges::all_of(given, [](char c) { return c > ' ' && c < 0x7f; });
  if (fine) return std::string(given);
  return tl::unexpected(std::string(
      "holds a space, a line break or another byte that no request can show as a bearer token; "
      "is there one at its end?"));
}

Kind<std::string> token_kind() {
  Kind<std::string> kind = checked_text("token", parse_token);
  kind.write = [](const std::string& value) {
    return value.empty() ? Node() : Node::secret_scalar(value);
  };
  return kind;
}

Kind<Log> access_log_kind() {
  Kind<std::string> word = text("word or path");
  Kind<Log> kind{"off, stdout, stderr or a file's path", "", word.schema, {}, {}};
  kind.read = [](Reader& reader, const Node& node, Log& to) {
    if (!reader.require(node, Node::Kind::Scalar, "off, stdout, stderr or a file's path")) return;
    to.access_file.clear();
    if (node.text == "off") {
      to.access = AccessLogTarget::Off;
    } else if (node.text == "stdout") {
      to.access = AccessLogTarget::Stdout;
    } else if (node.text == "stderr") {
      to.access = AccessLogTarget::Stderr;
    } else {
      to.access = AccessLogTarget::File;
      to.access_file = reader.absolute_path(node.text);
    }
  };
  kind.write = [](const Log& log) {
    switch (log.access) {
      case AccessLogTarget::Off:
        return Node::scalar("off");
      case AccessLogTarget::Stdout:
        return Node::scalar("stdout");
      case AccessLogTarget::Stderr:
        return Node::scalar("stderr");
      case AccessLogTarget::File:
        break;
    }
    return Node::quoted_scalar(log.access_file);
  };
  return kind;
}

}  // namespace

const Section& http2_section() {
  static const Section kSection =
      SectionOf<Http2>(
          "listeners[].http2",
          "HTTP/2 towards clients: by ALPN on TLS, with prior knowledge in cleartext, on "
          "the same port as HTTP/1.")
          .field("enabled", &Http2::enabled, flag(), "Speak it; otherwise HTTP/1 only.")
          .field("max_concurrent_streams", &Http2::max_concurrent_streams, count32(1, 10'000),
                 "Requests at once on one connection.")
          .field("stream_window", &Http2::stream_window, narrow<uint32_t>(size(16384, 1 << 30)),
                 "What a client may send of one body before the proxy has passed it on.")
          .field("connection_window", &Http2::connection_window,
                 narrow<uint32_t>(size(65535, 1 << 30)),
                 "The same for all bodies of a connection together.");
  return kSection;
}

const Section& listener_section() {
  static const Section kSection =
      SectionOf<Listener>("listeners[]", "An address that accepts client connections.")
          .field("name", &Listener::name, checked_text("name", parse_name),
                 "What logs, metrics and `match.listener` call it; by default `listeners.INDEX`.")
          .required("address", &Listener::address, address_kind(),
                    "Where to listen: `0.0.0.0:8080`, `[::]:443`, `unix:/run/x.sock`; `:8080` is "
                    "every IPv4 address; port 0 lets the system choose.")
          .field("permissions", &Listener::permissions, permissions_kind(),
                 "Of a unix socket's file, as in \"0660\"; otherwise what the umask leaves.")
          .field("tls", &Listener::tls, optional(nested<ListenerTls>(listener_tls_section())),
                 "TLS with its clients; absent: cleartext.")
          .field("trusted_proxies", trusted_kind(),
                 "Only from these are `X-Forwarded-*` and `Forwarded` believed; `unix` is whoever "
                 "comes by a unix socket.")
          .field(
              "proxy_protocol", &Listener::proxy_protocol, flag(),
              "Every connection begins with a PROXY protocol header, of version 1 or 2, which says "
              "who the client is; only `trusted_proxies` may connect.")
          .field("max_connections", &Listener::max_connections, count32(1, 10'000'000),
                 "Client connections open at once, over all workers.")
          .field("head_timeout", &Listener::head_timeout, duration(1ms, 24h),
                 "From the first byte of a request to the end of its head.")
          .field("idle_timeout", &Listener::idle_timeout, duration(1ms, 24h),
                 "A kept-alive connection without a request is closed after this.")
          .field("body_timeout", &Listener::body_timeout, duration(1ms, 24h),
                 "Between two reads of a request body.")
          .field(
              "body_min_rate", &Listener::body_min_rate, size(0, 1ULL << 40),
              "Bytes per second, over `body_timeout`, that a request body must keep to until the "
              "response begins; not asked of gRPC and of tunnels; 0: off.")
          .field("max_requests", &Listener::max_requests, count(0, UINT32_MAX),
                 "Requests on one connection before it is closed; 0: unlimited.")
          .field("max_request_line", &Listener::max_request_line,
                 narrow<uint32_t>(size(64, 1 << 20)), "Longest request line; over it: 414.")
          .field("max_header_bytes", &Listener::max_header_bytes,
                 narrow<uint32_t>(size(256, kMostHeaderBytes)),
                 "All headers together; over it: 431.")
          .field("max_header_count", &Listener::max_header_count, count32(1, 10'000),
                 "Number of headers; over it: 431.")
          .field("underscores_in_headers", &Listener::underscores_in_headers, flag(),
                 "Keep headers with `_` in their name; otherwise they are dropped.")
          .field("merge_slashes", &Listener::merge_slashes, flag(),
                 "A run of slashes in a path counts as one; otherwise it is matched and forwarded "
                 "as it is.")
          .field("client_half_close", &Listener::client_half_close,
                 enumeration<HalfClose>({{"wait", HalfClose::Wait}, {"abort", HalfClose::Abort}}),
                 "What it means when a client ends its sending side while it waits for a response: "
                 "`wait`, it still reads; `abort`, it has gone, and so does the request to the "
                 "origin. HTTP/1 without tunnels.")
          .field("via", &Listener::via, enumeration<Via>({{"off", Via::Off}, {"add", Via::Add}}),
                 "With `add`, requests and responses get a `Via` field, and a request that this "
                 "process has forwarded before is answered with 508.")
          .field("http2", &Listener::http2, nested<Http2>(http2_section()),
                 "HTTP/2 and its limits.");
  return kSection;
}

const Section& admin_section() {
  static const Section kSection =
      SectionOf<Admin>("admin", "The address that operators and monitoring talk to.")
          .field("address", &Admin::address, address_or_off(),
                 "Where the admin API and `/metrics` listen.")
          .field("token", &Admin::token, token_kind(),
                 "Bearer token that every request must show but those for `/health`, `/ready` and "
                 "`/metrics`; without one, anybody who reaches the address may do anything.");
  return kSection;
}

const Section& log_section() {
  static const Section kSection =
      SectionOf<Log>("log", "The operational log, on standard error, and the access log.")
          .field("level", &Log::level, choice({"debug", "info", "warn", "error"}),
                 "Least severity of the operational log.")
          .field("format", &Log::format, choice({"json", "text"}),
                 "Form of the operational log, and of the access log.")
          .field("access", access_log_kind(),
                 "Where the access log goes, one line a request, in the form of `format`; its "
                 "fields: README.md.");
  return kSection;
}

}  // namespace tidegate::config
