// SPDX-License-Identifier: Apache-2.0
#include "admin/access.h"

#include "base/ip.h"
#include "base/strings.h"

namespace tidegate::admin {
namespace {

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? std::string_view{} : host.substr(1, end - 1);
  }
  return host.substr(0, host.find(':'));
}

/// Nobody outside can make this name lead here.
bool is_own_name(std::string_view host, const config::Admin& admin) {
  if (host.empty()) return true;  // no browser leaves Host out
  const std::string_view name = without_port(host);
  if (IpAddress::parse(name).has_value() || iequals(name, "localhost")) return true;
  return admin.address.has_value() && !name.empty() && iequals(name, admin.address->host);
}

bool is_own_origin(const Request& request) {
  if (request.origin.empty()) return true;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (request.origin.starts_with(scheme) &&
        iequals(request.origin.substr(scheme.size()), request.host)) {
      return true;
    }
  }
  return false;
}

bool is_foreign_fetch(std::string_view fetch_site) {
  return !fetch_site.empty() && fetch_site != "same-origin" && fetch_site != "none";
}

bool shows_token(std::string_view authorization, std::string_view token) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!iequals(authorization.substr(0, kScheme.size()), kScheme)) return false;
  return equal_secret(trim(authorization.substr(kScheme.size())), token);
}

}  // namespace

bool equal_secret(std::string_view given, std::string_view secret) {
  volatile unsigned difference = given.size() == secret.size() ? 0u : 1u;
  for (size_t i = 0; i < given.size(); ++i) {
    const char expected = secret.empty() ? '\0' : secret[i % secret.size()];
    difference = difference | static_cast<unsigned char>(given[i] ^ expected);
  }
  return difference == 0;
}

Access may_change(const Request& request, const config::Admin& admin) {
  if (!admin.token.empty()) {
    return shows_token(request.authorization, admin.token) ? Access::Granted : Access::TokenNeeded;
  }
  const bool own = is_own_name(request.host, admin) && is_own_origin(request) &&
                   !is_foreign_fetch(request.fetch_site);
  return own ? Access::Granted : Access::WebPage;
}

Access may_read(const Request& request, const config::Admin& admin) {
  if (!admin.token.empty()) {
    return shows_token(request.authorization, admin.token) ? Access::Granted : Access::TokenNeeded;
  }
  if (!admin.address.has_value() || admin.address->is_unix) return Access::Granted;
  const auto bound = IpAddress::parse(admin.address->host);
  const bool local =
      bound.has_value() ? bound->is_loopback() : iequals(admin.address->host, "localhost");
  return !local || is_own_name(request.host, admin) ? Access::Granted : Access::WebPage;
}

}  // namespace tidegate::admin
