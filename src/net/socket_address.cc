// SPDX-License-Identifier: Apache-2.0
#include "net/socket_address.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <cstring>

namespace tidegate::net {

SocketAddress SocketAddress::from_ip(const IpAddress& ip, uint16_t port) {
  SocketAddress result;
  if (ip.is_v4()) {
    result.storage_.v4.sin_family = AF_INET;
    result.storage_.v4.sin_port = htons(port);
    std::memcpy(&result.storage_.v4.sin_addr, ip.bytes().data() + 12, 4);
    result.length_ = sizeof(sockaddr_in);
  } else {
    result.storage_.v6.sin6_family = AF_INET6;
    result.storage_.v6.sin6_port = htons(port);
    std::memcpy(&result.storage_.v6.sin6_addr, ip.bytes().data(), 16);
    result.length_ = sizeof(sockaddr_in6);
  }
  return result;
}

Fallible<SocketAddress> SocketAddress::from_unix_path(const std::string& path) {
  SocketAddress result;
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return tl::unexpected("a unix socket's path has 1 to 107 bytes: " + path);
  }
  result.storage_.local.sun_family = AF_UNIX;
  std::memcpy(result.storage_.local.sun_path, path.data(), path.size());
  result.length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return result;
}

SocketAddress SocketAddress::from_raw(const sockaddr* address, socklen_t length) {
  SocketAddress result;
  std::memcpy(&result.storage_, address, std::min<size_t>(length, sizeof result.storage_));
  result.length_ = length;
  return result;
}

Fallible<std::vector<SocketAddress>> SocketAddress::resolve(const std::string& host,
                                                            uint16_t port) {
  if (const auto ip = IpAddress::parse(host)) return std::vector{from_ip(*ip, port)};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  // AI_ADDRCONFIG hides loopback names on a machine that has only loopback.
  if (rc != 0) {
    hints.ai_flags = 0;
    const int again = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (again != 0) return tl::unexpected("cannot resolve " + host + ": " + ::gai_strerror(again));
  }
  std::vector<SocketAddress> all;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    all.push_back(from_raw(at->ai_addr, at->ai_addrlen));
  }
  ::freeaddrinfo(found);
  if (all.empty()) return tl::unexpected("cannot resolve " + host + ": no address");
  return all;
}

IpAddress SocketAddress::ip() const {
  if (family() == AF_INET) return IpAddress::v4(ntohl(storage_.v4.sin_addr.s_addr));
  if (family() != AF_INET6) return {};
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &storage_.v6.sin6_addr, 16);
  return IpAddress::v6(bytes);
}

uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
  return family() == AF_INET6 ? ntohs(storage_.v6.sin6_port) : 0;
}

std::string SocketAddress::to_string() const {
  if (is_unix()) return std::string("unix:") + storage_.local.sun_path;
  const std::string text = ip().to_string();
  const bool bracket = !ip().is_v4();
  return (bracket ? "[" + text + "]" : text) + ":" + std::to_string(port());
}

}  // namespace tidegate::net
