// SPDX-License-Identifier: Apache-2.0
#include "proxy/hash_key.h"

#include "base/strings.h"

namespace tidegate::proxy {
namespace {

/// Of "name=value" pairs with `separator` between them.
std::string_view value_in(std::string_view pairs, char separator, std::string_view name) {
  while (!pairs.empty()) {
    const size_t end = pairs.find(separator);
    const std::string_view pair = trim(pairs.substr(0, end));
    if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name)) {
      return pair.substr(name.size() + 1);
    }
    if (end == std::string_view::npos) break;
    pairs.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace

std::string_view cookie_value(const http::Headers& headers, std::string_view name) {
  // HTTP/2 may spread cookies over several fields (RFC 9113 8.2.3).
  for (const http::HeaderField& field : headers) {
    if (field.name() != "cookie") continue;
    const std::string_view value = value_in(field.value(), ';', name);
    if (!value.empty()) return value;
  }
  return {};
}

std::string_view query_value(std::string_view query, std::string_view name) {
  return value_in(query, '&', name);
}

std::string_view hash_key(const config::HashOn& what, const http::RequestHead& request,
                          std::string_view client_ip) {
  switch (what.kind) {
    case config::HashOn::Kind::ClientIp:
      return client_ip;
    case config::HashOn::Kind::Path:
      return request.path;
    case config::HashOn::Kind::Cookie:
      return cookie_value(request.headers, what.name);
    case config::HashOn::Kind::Query:
      return query_value(request.query, what.name);
    case config::HashOn::Kind::Header:
      break;
  }
  const http::HeaderField* field = request.headers.find(what.name);
  return field == nullptr ? std::string_view() : field->value();
}

}  // namespace tidegate::proxy
