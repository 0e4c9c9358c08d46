// SPDX-License-Identifier: Apache-2.0
// Names, addresses, hosts, paths and HTTP elements of values.h.
#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "config/values.h"

namespace tidegate::config {
namespace {

bool is_alnum(char c) {
  char lower = ascii_lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

bool all_of(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alnum(c) || extra.find(c) != std::string_view::npos;
  });
}

bool is_bracketed_v6(std::string_view host) {
  if (host.size() < 4 || host.front() != '[' || host.back() != ']') return false;
  std::string_view inner = host.substr(1, host.size() - 2);
  return inner.find(':') != std::string_view::npos && IpAddress::parse(inner).has_value();
}

/// Splits "host:port"; `port` is empty when there is none.
struct HostPort {
  std::string_view host, port;
};
HostPort split_port(std::string_view text) {
  size_t colon = text.rfind(':');
  size_t bracket = text.rfind(']');
  bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (!has_port) return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::optional<Address> to_address(HostPort parts) {
  auto port = parse_decimal(parts.port, 65535);
  if (!port) return std::nullopt;
  if (is_bracketed_v6(parts.host)) {
    std::string inner(parts.host.substr(1, parts.host.size() - 2));
    return Address{inner, static_cast<uint16_t>(*port), false};
  }
  if (!is_host_name(parts.host)) return std::nullopt;
  return Address{ascii_lower(parts.host), static_cast<uint16_t>(*port), false};
}

constexpr std::string_view kUnix = "unix:";

Fallible<Address> to_unix_address(std::string_view path) {
  std::string fault = fault_of_unix_path(path);
  if (!fault.empty()) return tl::unexpected(std::move(fault));
  return Address{std::string(path), 0, true};
}

std::string_view without_final_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 127; });
}

/// What an escape at the front of `text` should be instead; empty when it is canonical.
std::string_view why_not_canonical_escape(std::string_view text) {
  int high = text.size() > 2 ? hex_value(text[1]) : -1;
  int low = text.size() > 2 ? hex_value(text[2]) : -1;
  if (high < 0 || low < 0) return "'%' must be followed by two hexadecimal digits";
  char decoded = static_cast<char>(high * 16 + low);
  if (decoded == 0) return "%00 is always refused";
  if (is_alnum(decoded) || std::string_view("-._~").find(decoded) != std::string_view::npos) {
    return "write what an escape stands for where it needs none";
  }
  bool lower = ascii_lower(text[1]) == text[1] && high > 9;
  lower = lower || (ascii_lower(text[2]) == text[2] && low > 9);
  return lower ? "write escapes in upper case" : "";
}

/// What normalising would change in a path that starts with a slash; empty: nothing.
std::string_view why_not_canonical(std::string_view text) {
  std::string closed = std::string(text) + "/";
  if (text.find("//") != std::string_view::npos) return "write one '/' for several";
  if (closed.find("/./") != std::string::npos || closed.find("/../") != std::string::npos) {
    return "write it without '.' and '..'";
  }
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c == '?' || c == '#' || c == '\\') return "it holds no '?', '#' or '\\'";
    if (c <= ' ' || c >= 127) return "write spaces, control and non-ASCII bytes as %XX";
    if (std::string_view("\"<>^`{|}").find(text[i]) != std::string_view::npos) {
      return "write \", <, >, ^, {, |, } and the backtick as %XX";
    }
    if (c != '%') continue;
    std::string_view why = why_not_canonical_escape(text.substr(i));
    if (!why.empty()) return why;
  }
  return "";
}

}  // namespace

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253 || !all_of(host, ".-_")) return false;
  if (host.front() == '.' || host.front() == '-') return false;
  if (host.find("..") != std::string_view::npos) return false;
  bool numeric = std::all_of(host.begin(), host.end(),
                             [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
  return !numeric || IpAddress::parse(host).has_value();
}

std::string with_article(const std::string& name) {
  // A choice of forms, as in "URL, or environment", is a list already.
  const bool is_choice =
      name.find(',') != std::string::npos || name.find(" or ") != std::string::npos;
  if (name == "text" || name == "statuses" || is_choice) return name;
  if (name.starts_with("path of ")) return "the " + name;
  bool vowel = std::string_view("aeio").find(name.front()) != std::string_view::npos;
  return (vowel ? "an " : "a ") + name;
}

std::string not_available(std::string_view what) {
  return fmt::format("{} is specified but not available in this version", what);
}

std::string did_you_mean(std::string_view given, const std::vector<std::string>& known) {
  // Two slips, more in a long name; in a short one two would make anything of anything.
  size_t best = given.size() <= 3 ? 2 : std::max<size_t>(2, given.size() / 3) + 1;
  const std::string* nearest = nullptr;
  for (const std::string& candidate : known) {
    size_t distance = edit_distance(given, candidate);
    if (distance < best && distance < std::max(given.size(), candidate.size())) {
      best = distance;
      nearest = &candidate;
    }
  }
  return nearest ? fmt::format(", did you mean '{}'?", *nearest) : std::string();
}

std::string fault_of_unix_path(std::string_view path) {
  constexpr size_t kLongest = 107;  // what a sockaddr_un holds beside its final NUL
  if (path.empty() || path.ends_with('/'))
    return "expected unix: and a path, as in unix:/run/x.sock";
  if (path.find('\0') != std::string_view::npos) return "a path holds no NUL";
  if (path.size() <= kLongest) return {};
  return fmt::format("a unix socket's path has at most {} bytes, got {}: {}", kLongest, path.size(),
                     path);
}

Fallible<Address> parse_address(std::string_view text) {
  if (text.starts_with(kUnix)) return to_unix_address(text.substr(kUnix.size()));
  std::string every;
  if (text.starts_with(':')) every = fmt::format("0.0.0.0{}", text);
  if (auto address = to_address(split_port(every.empty() ? text : every))) return *address;
  return tl::unexpected(fmt::format(
      "expected an address such as 127.0.0.1:8080, [::1]:8080, :8080 or unix:/run/x.sock, got '{}'",
      text));
}

Fallible<OriginUrl> parse_origin_url(std::string_view text) {
  auto wrong = [&](std::string_view why) {
    return tl::unexpected(
        fmt::format("expected an endpoint such as http://10.0.0.1:8080, got '{}'{}", text, why));
  };
  size_t split = text.find("://");
  if (split == std::string_view::npos) return wrong(": put http:// before it");
  std::string scheme = ascii_lower(text.substr(0, split));
  if (scheme == "unix") return wrong(": a unix socket is http://unix:/path");
  if (scheme != "http" && scheme != "https") return wrong(": the scheme must be http or https");
  std::string_view rest = text.substr(split + 3);
  if (rest.starts_with(kUnix)) {
    return to_unix_address(rest.substr(kUnix.size())).map([&](Address address) {
      return OriginUrl{scheme, std::move(address)};
    });
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#") != std::string_view::npos) {
    return wrong(": it takes no path; a route's replace_prefix can add one");
  }
  if (rest.find('@') != std::string_view::npos) return wrong(": it takes no user");
  HostPort parts = split_port(rest);
  if (parts.host.size() == rest.size()) parts.port = scheme == "https" ? "443" : "80";
  auto address = to_address(parts);
  if (!address || address->port == 0) return wrong("");
  return OriginUrl{scheme, *address};
}

Fallible<std::string> parse_name(std::string_view text) {
  if (!text.empty() && text.size() <= 64 && all_of(text, "_.-")) return std::string(text);
  return tl::unexpected(fmt::format(
      "expected a name of at most 64 letters, digits, '_', '-' and '.', got '{}'", text));
}

Fallible<std::string> parse_retry_on(std::string_view text) {
  for (const std::string_view word :
       {"connect", "refused", "reset", "timeout", "bad_response", "4xx", "5xx"}) {
    if (text == word) return std::string(text);
  }
  const auto status = parse_decimal(text, 599);
  if (status && *status >= 400 && text.size() == 3) return std::string(text);
  return tl::unexpected(fmt::format(
      "expected connect, refused, reset, timeout, bad_response, 4xx, 5xx or a status from 400 to "
      "599, got '{}'",
      text));
}

Fallible<std::string> parse_method(std::string_view text) {
  if (!is_token(text)) {
    return tl::unexpected(fmt::format("expected an HTTP method such as GET, got '{}'", text));
  }
  std::string upper(text);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c;
  if (upper == text) return upper;
  return tl::unexpected(fmt::format("methods are case-sensitive: write {} for '{}'", upper, text));
}

Fallible<std::string> parse_header_name(std::string_view text) {
  if (is_token(text)) return ascii_lower(text);
  return tl::unexpected(
      fmt::format("expected a header name (letters, digits and !#$%&'*+-.^_`|~), got '{}'", text));
}

Fallible<std::string> parse_header_value(std::string_view text) {
  bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 127);
  });
  if (clean && trim(text).size() == text.size()) return std::string(text);
  return tl::unexpected(
      std::string("a header value must hold no control byte, line break or space at its ends"));
}

Fallible<std::string> parse_host(std::string_view text, bool wildcard) {
  std::string_view name = text;
  if (wildcard && name.starts_with("*.")) name.remove_prefix(2);
  bool literal_v6 = name.size() == text.size() && is_bracketed_v6(name);
  // Where requests are compared with it, they are without the dot that a full name may end with.
  if (literal_v6 || is_host_name(name)) {
    return ascii_lower(wildcard ? without_final_dot(text) : text);
  }
  std::string why;
  if (text == "*" && wildcard) {
    why = ": leave hosts out to match any";
  } else if (text.find('*') != std::string_view::npos) {
    why = wildcard ? ": a wildcard is '*.' and a name, as in *.example.com" : "";
  } else if (split_port(text).host.size() != text.size()) {
    why = ": leave the port out";
  }
  return tl::unexpected(fmt::format("expected a host name such as {}, got '{}'{}",
                                    wildcard ? "api.example.com or *.example.com" : "example.com",
                                    text, why));
}

Fallible<std::string> parse_tls_name(std::string_view text) {
  if (is_host_name(text) || IpAddress::parse(text)) return ascii_lower(without_final_dot(text));
  return tl::unexpected(
      fmt::format("expected a host name such as api.example.com, without port, got '{}'", text));
}

Fallible<std::string> parse_path(std::string_view text) {
  if (!text.starts_with('/')) {
    return tl::unexpected(fmt::format("a path must start with '/', got '{}'", text));
  }
  std::string_view why = why_not_canonical(text);
  if (why.empty()) return std::string(text);
  return tl::unexpected(fmt::format(
      "'{}' could match nothing, since paths are compared in their canonical form: {}", text, why));
}

Fallible<std::string> parse_redirect_target(std::string_view text) {
  bool is_path = text.starts_with('/') && !text.starts_with("//");
  bool is_url = text.starts_with("http://") || text.starts_with("https://");
  if ((!is_path && !is_url) || !is_visible(text)) {
    return tl::unexpected(fmt::format(
        "expected a path or an http(s) URL, with {{path}} and {{query}} where they go, got '{}'",
        text));
  }
  for (size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
    std::string_view rest = text.substr(at);
    if (rest.starts_with("{path}") || rest.starts_with("{query}")) continue;
    return tl::unexpected(
        fmt::format("'{}' stands for nothing: there are {{path}} and {{query}}",
                    rest.substr(0, rest.find('}') == std::string_view::npos ? rest.size()
                                                                            : rest.find('}') + 1)));
  }
  return std::string(text);
}

Fallible<std::string> parse_variable_name(std::string_view text) {
  bool digit_first = !text.empty() && text[0] >= '0' && text[0] <= '9';
  if (!text.empty() && !digit_first && all_of(text, "_")) return std::string(text);
  return tl::unexpected(
      fmt::format("expected the name of an environment variable, got '{}'", text));
}

}  // namespace tidegate::config
