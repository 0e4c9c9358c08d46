// SPDX-License-Identifier: Apache-2.0
// Text forms of configuration values, both ways. A parser's error is the part of a message that
// says what is wrong and what to write; the caller adds where.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/snapshot.h"

namespace tidegate::config {

Fallible<Duration> parse_duration(std::string_view text);  // 250ms 30s 5m 1h; 0 needs no unit
std::string format_duration(Duration duration);            // in the largest unit that is exact

Fallible<uint64_t> parse_size(std::string_view text);  // 512 64KiB 10MiB 1GiB
std::string format_size(uint64_t bytes);

Fallible<uint64_t> parse_count(std::string_view text);  // decimal digits
Fallible<bool> parse_flag(std::string_view text);       // true, false

Fallible<Rate> parse_rate(std::string_view text);  // 1000/s 10/m 5/h
std::string format_rate(const Rate& rate);

/// Share of a whole, "20%", as a fraction of 1; at most `max_percent`.
Fallible<double> parse_share(std::string_view text, uint64_t max_percent = 100);
std::string format_share(double share);

/// "127.0.0.1:8080", "[::1]:443", "localhost:80", "unix:/run/x.sock"; ":8080" is every IPv4 address
/// of the machine.
Fallible<Address> parse_address(std::string_view text);
/// The path of a unix socket, as far as the kernel can take it. An empty string: it is fine.
std::string fault_of_unix_path(std::string_view path);

struct OriginUrl {
  std::string scheme;
  Address address;
};
/// "http://host[:port]", "https://host[:port]" or "http://unix:/path", with no other path, query or
/// user.
Fallible<OriginUrl> parse_origin_url(std::string_view text);

Fallible<std::string> parse_name(std::string_view text);  // of a listener, cluster, …
/// What to retry on: connect, refused, reset, timeout, 4xx, 5xx, or a status.
Fallible<std::string> parse_retry_on(std::string_view text);
Fallible<std::string> parse_method(std::string_view text);
Fallible<std::string> parse_header_name(std::string_view text);  // given in lower case
Fallible<std::string> parse_header_value(std::string_view text);
/// A host as `match.hosts` and `host` take it, in lower case; no port. `wildcard`: "*.name" too.
Fallible<std::string> parse_host(std::string_view text, bool wildcard);
/// A host name as TLS carries it (RFC 6066 3), in lower case; or an IP address, only to be checked.
Fallible<std::string> parse_tls_name(std::string_view text);
/// A path in the canonical form that the router compares: nothing that normalising would change.
Fallible<std::string> parse_path(std::string_view text);
Fallible<std::string> parse_redirect_target(std::string_view text);
Fallible<std::string> parse_variable_name(std::string_view text);

/// "not available" in the one wording that tests and users know.
std::string not_available(std::string_view what);
/// A DNS name or IPv4 address; what looks like an address must be one.
bool is_host_name(std::string_view host);

/// A kind's name within a sentence: "a duration", "an address".
std::string with_article(const std::string& name);
/// ", did you mean 'x'?" for the nearest of `known`, or nothing when none is near.
std::string did_you_mean(std::string_view given, const std::vector<std::string>& known);

}  // namespace tidegate::config
