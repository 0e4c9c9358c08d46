// SPDX-License-Identifier: Apache-2.0
// What bench_origin and bench_relay share: loopback sockets, and bytes that wait to be written.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace bench {

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline int tcp_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

inline void set_flag(int fd, int level, int option) {
  const int on = 1;
  if (::setsockopt(fd, level, option, &on, sizeof on) != 0) fail("setsockopt");
}

inline int listen_on(uint16_t port) {
  const int fd = tcp_socket();
  set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
  const sockaddr_in address = loopback(port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (::listen(fd, 4096) != 0) fail("listen");
  return fd;
}

/// The next waiting client, or -1 when there is none.
inline int accept_from(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
  return fd;
}

/// Starts a connection; the result becomes known when the socket is readable or writable.
inline int connect_to(uint16_t port) {
  const int fd = tcp_socket();
  set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
  const sockaddr_in address = loopback(port);
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (result != 0 && errno != EINPROGRESS) fail("connect");
  return fd;
}

inline void watch(int epoll, int operation, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, operation, fd, &event) != 0) fail("epoll_ctl");
}

enum class Write { Done, Blocked, Broken };

/// Writes `bytes`; what the socket does not take is added to `pending`.
inline Write write_or_keep(int fd, std::string_view bytes, std::string& pending) {
  const ssize_t n = ::write(fd, bytes.data(), bytes.size());
  if (n < 0 && errno != EAGAIN && errno != ENOTCONN) return Write::Broken;
  const size_t taken = n < 0 ? 0 : static_cast<size_t>(n);
  if (taken == bytes.size()) return Write::Done;
  pending.append(bytes.substr(taken));
  return Write::Blocked;
}

}  // namespace bench
