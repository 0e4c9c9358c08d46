// SPDX-License-Identifier: Apache-2.0
#include "net/tls_names.h"

#include "base/strings.h"

namespace tidegate::net {
namespace {

/// "a.example." is the same host as "a.example".
std::string_view without_root(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

}  // namespace

void TlsNames::add(std::string_view name, size_t certificate) {
  name = without_root(name);
  if (name.starts_with("*.")) {
    wildcards_.emplace(ascii_lower(name.substr(2)), certificate);
  } else {
    exact_.emplace(ascii_lower(name), certificate);
  }
}

std::optional<size_t> TlsNames::find(std::string_view host) const {
  const std::string name = ascii_lower(without_root(host));
  if (const auto at = exact_.find(name); at != exact_.end()) return at->second;
  const size_t dot = name.find('.');
  if (dot == 0 || dot == std::string::npos) return std::nullopt;
  const auto at = wildcards_.find(name.substr(dot + 1));
  if (at == wildcards_.end()) return std::nullopt;
  return at->second;
}

}  // namespace tidegate::net
