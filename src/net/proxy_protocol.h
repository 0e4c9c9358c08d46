// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "net/socket_address.h"

namespace tidegate::net {

/// The most bytes that a PROXY protocol header may take here: far above what is seen in practice,
/// and a bound on what a connection can make the proxy hold.
constexpr size_t kMaxProxyHeader = 4096;

/// What a PROXY protocol header says (HAProxy's doc/proxy-protocol.txt, versions 1 and 2).
struct ProxyHeader {
  /// False: the sender speaks for itself, or of a client that it cannot name (UNKNOWN, a unix
  /// socket); the connection's own addresses hold.
  bool has_addresses = false;
  bool local = false;  // it speaks for itself
  SocketAddress source;
  SocketAddress destination;
};

enum class ProxyParse : uint8_t { Done, More, Malformed };

/// Reads the header at the front of `bytes`. Done: it took `size` of them. More: what is there can
/// be the beginning of one. Pure; called again with more bytes it begins anew.
struct ProxyParsed {
  ProxyParse state = ProxyParse::Malformed;
  size_t size = 0;
  ProxyHeader header{};
  std::string_view fault{};  // why it is malformed; static
};
ProxyParsed parse_proxy_header(std::string_view bytes);

/// The header of version 1 or 2 for a connection from `source` to `destination`. Where one of them
/// is no IP address it says that nothing is known. Of different families both are written as IPv6.
std::string write_proxy_header(int version, const SocketAddress& source,
                               const SocketAddress& destination);

/// Of RFC 3720 B.4, as TLV 0x03 of a version 2 header carries it.
uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);

}  // namespace tidegate::net
