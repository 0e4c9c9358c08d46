// SPDX-License-Identifier: Apache-2.0
#include "proxy/websocket.h"

#include "base/strings.h"
#include "net/digest.h"

namespace tidegate::proxy {
namespace {

constexpr std::string_view kKey = "sec-websocket-key";
constexpr std::string_view kAccept = "sec-websocket-accept";
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr size_t kKeyBytes = 16;

bool is_websocket(const http::RequestHead& request) {
  return iequals(request.upgrade, "websocket");
}

std::string_view accept_of(std::string_view key, Arena& arena) {
  return arena.copy(net::sha1_base64(arena.join(key, kGuid)));
}

}  // namespace

void WebsocketKeys::prepare(http::RequestHead& request, bool http2_origin, IdGenerator& random) {
  if (!is_websocket(request)) return;
  http2_origin_ = http2_origin;
  http::Headers& headers = request.headers;
  Arena& arena = headers.arena();
  if (const http::HeaderField* key = headers.find(kKey)) clients_ = key->value();
  if (http2_origin) {
    headers.remove(kKey);
    return;
  }
  if (request.version == http::Version::Http2) {
    own_ = arena.copy(net::base64(random.next(arena).substr(0, kKeyBytes)));
    headers.set(kKey, own_);
  } else if (!clients_.empty()) {
    headers.set(kKey, clients_);  // an earlier attempt may have had no use for it
  }
}

bool WebsocketKeys::finish(const http::RequestHead& request, http::ResponseHead& response) const {
  if (!is_websocket(request)) return true;
  http::Headers& headers = response.headers;
  Arena& arena = headers.arena();
  if (request.version == http::Version::Http2) {
    const http::HeaderField* accept = headers.find(kAccept);
    const bool agreed = accept != nullptr && accept->value() == accept_of(own_, arena);
    headers.remove(kAccept);
    return http2_origin_ || agreed;
  }
  if (http2_origin_) headers.set(kAccept, accept_of(clients_, arena));
  return true;
}

}  // namespace tidegate::proxy
