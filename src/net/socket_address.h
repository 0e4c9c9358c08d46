// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace tidegate::net {

/// A socket address the kernel takes: IPv4, IPv6 or a Unix socket's path.
class SocketAddress {
 public:
  SocketAddress() = default;
  static SocketAddress from_ip(const IpAddress& ip, uint16_t port);
  static Fallible<SocketAddress> from_unix_path(const std::string& path);
  static SocketAddress from_raw(const sockaddr* address, socklen_t length);
  /// All addresses of a literal or a name. Blocks on DNS: only before serving, off the workers.
  static Fallible<std::vector<SocketAddress>> resolve(const std::string& host, uint16_t port);

  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }
  int family() const { return storage_.any.sa_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  /// Zero address and port for a Unix socket.
  IpAddress ip() const;
  uint16_t port() const;
  std::string to_string() const;

 private:
  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  } storage_{};
  socklen_t length_ = 0;
};

}  // namespace tidegate::net
