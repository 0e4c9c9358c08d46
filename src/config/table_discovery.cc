// SPDX-License-Identifier: Apache-2.0
// Where endpoints come from, other than from the list in the file.
#include <filesystem>

#include "config/table.h"

namespace tidegate::config {
namespace {

using namespace std::chrono_literals;

Fallible<std::string> parse_dns_name(std::string_view text) {
  auto name = parse_host(text, false);
  if (!name) return name;
  if (name->starts_with('[') || IpAddress::parse(*name)) {
    return tl::unexpected("'" + *name + "' is an address: list it under endpoints");
  }
  return name;
}

/// "10.0.0.2", "10.0.0.2:5353", "[::1]:53"; given with its port.
Fallible<std::string> parse_name_server(std::string_view text) {
  constexpr uint16_t kDnsPort = 53;
  if (const auto ip = IpAddress::parse(text)) {
    return Address{ip->to_string(), kDnsPort, false}.to_string();
  }
  const auto address = parse_address(text);
  if (address && !address->is_unix && address->port != 0 && IpAddress::parse(address->host)) {
    return address->to_string();
  }
  return tl::unexpected(
      "expected an IP address with or without port, such as 10.0.0.2 or "
      "[::1]:5353, got '" +
      std::string(text) + "'");
}

}  // namespace

const Section& dns_section() {
  static const Section kSection =
      SectionOf<Dns>(
          "clusters.NAME.dns",
          "Endpoints from DNS, asked again when the answer's time to live has passed. An "
          "answer that names nobody, or none, leaves the endpoints as they are.")
          .required("name", &Dns::name, checked_text("name", parse_dns_name),
                    "What to ask for: `users.svc`, `_http._tcp.users.svc`. A name without a dot at "
                    "its end is also tried with the system's search domains.")
          .field(
              "type", &Dns::type, enumeration<DnsType>({{"a", DnsType::A}, {"srv", DnsType::Srv}}),
              "`a`: every IPv4 and IPv6 address is an endpoint; `srv`: hosts, ports and weights of "
              "the best priority.")
          .field("port", &Dns::port, narrow<uint16_t>(count(0, 65535)),
                 "Of type `a`: the endpoints' port.")
          .field("family", &Dns::family,
                 enumeration<DnsFamily>({{"any", DnsFamily::Any},
                                         {"v4", DnsFamily::V4},
                                         {"v6", DnsFamily::V6},
                                         {"prefer_v4", DnsFamily::PreferV4}}),
                 "Which addresses are endpoints: `any`, those of IPv4 or of IPv6 alone, or, with "
                 "`prefer_v4`, those of IPv6 only where there is none of IPv4. With `any` and "
                 "`prefer_v4`, an endpoint that cannot be connected to is reached at an address of "
                 "the other family.")
          .field("scheme", &Dns::scheme, choice({"http", "https"}), "How to talk to them.")
          .field("min_refresh", &Dns::min_refresh, duration(10ms, 24h),
                 "Not asked more often than this, and first asked again after it when there was no "
                 "good answer.")
          .field("max_refresh", &Dns::max_refresh, duration(10ms, 24h),
                 "Asked at least this often, however long the time to live.");
  return kSection;
}

const Section& resolver_section() {
  static const Section kSection =
      SectionOf<Resolver>("resolver", "Who answers DNS for clusters with `dns`.")
          .field("servers", &Resolver::servers,
                 list_of(checked_text("name server", parse_name_server)),
                 "Name servers, in order; without any, those of the system.")
          .field("timeout", &Resolver::timeout, duration(10ms, 1min),
                 "Wait for a server's answer; it grows with each round.")
          .field("attempts", &Resolver::attempts, count32(1, 10), "Rounds over the servers.");
  return kSection;
}

Kind<Cluster> endpoint_list_kind() {
  const Kind<std::vector<Endpoint>> list = list_of(endpoint_kind());
  Kind<Cluster> kind{list.name, list.range, list.schema, {}, {}, list.section};
  kind.read = [list](Reader& reader, const Node& node, Cluster& to) {
    list.read(reader, node, to.endpoints);
  };
  // Those of a file stand in that file.
  kind.write = [list](const Cluster& cluster) {
    return cluster.file.empty() ? list.write(cluster.endpoints) : Node();
  };
  return kind;
}

Kind<std::string> endpoint_file_kind() {
  Kind<std::string> kind = text("path of a YAML file");
  kind.read = [](Reader& reader, const Node& node, std::string& to) {
    if (!reader.require(node, Node::Kind::Scalar, "the path of a YAML file")) return;
    const std::string path = reader.absolute_path(node.text);
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) {
      return reader.fail(node, "there is no file " + path);
    }
    to = path;
  };
  return kind;
}

}  // namespace tidegate::config
