// SPDX-License-Identifier: Apache-2.0
#include "upstream/absolute_form.h"

namespace tidegate::upstream {

void address_to_proxy(http::RequestHead& head, const Endpoint& endpoint, Arena& arena) {
  const std::string_view path = head.path == "*" ? std::string_view() : head.path;
  head.path = arena.join("http://", endpoint.authority, path);
  if (endpoint.proxy->authorization.empty()) return;
  head.headers.set(http::HeaderId::ProxyAuthorization, endpoint.proxy->authorization);
}

}  // namespace tidegate::upstream
