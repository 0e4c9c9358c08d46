// SPDX-License-Identifier: Apache-2.0
#include "net/listener_socket.h"

#include <event2/event.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <thread>

#include "net/descriptors.h"
#include "net/keep_alive.h"

namespace tidegate::net {
namespace {

// Enough to keep up with a burst, few enough that accepted connections get their turn.
constexpr int kAcceptsPerTurn = 64;
constexpr int kBacklog = 4096;
constexpr auto kRetryAfter = std::chrono::milliseconds(50);
// Binding the sockets of all workers takes a few milliseconds.
constexpr auto kClaimWithin = std::chrono::milliseconds(500);

}  // namespace

Fallible<void> check_free(const SocketAddress& address) {
  const OwnedFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto failed = [&](const char* why) {
    return tl::unexpected("cannot listen on " + address.to_string() + ": " + why);
  };
  if (!fd) return failed(std::strerror(errno));
  const int on = 1;
  // Connections that a former process left must not count.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (::bind(fd.get(), address.raw(), address.length()) == 0) return {};
  return failed(errno == EADDRINUSE ? "another process or another listener does"
                                    : std::strerror(errno));
}

// An abstract socket: as ports are, it is of the network namespace, and it goes with the process.
OwnedFd claim_port(uint16_t port) {
  OwnedFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un claim{};
  claim.sun_family = AF_UNIX;
  const std::string name =
      "tidegate-port-" + std::to_string(::geteuid()) + "-" + std::to_string(port);
  name.copy(claim.sun_path + 1, sizeof claim.sun_path - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const auto until = std::chrono::steady_clock::now() + kClaimWithin;
  while (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&claim), length) != 0 &&
         errno == EADDRINUSE && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return fd;
}

Fallible<OwnedFd> open_listener(const SocketAddress& address) {
  const auto failed = [&](const char* what) {
    return tl::unexpected("cannot listen on " + address.to_string() + ": " + what + ": " +
                          std::strerror(errno));
  };
  OwnedFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failed("socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    return failed("SO_REUSEPORT");
  }
  if (address.family() == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  // Accepted sockets inherit these, which saves system calls for each.
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  keep_alive(fd.get());
  if (::bind(fd.get(), address.raw(), address.length()) != 0) return failed("bind");
  if (::listen(fd.get(), kBacklog) != 0) return failed("listen");
  return fd;
}

SocketAddress local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
  return SocketAddress::from_raw(reinterpret_cast<sockaddr*>(&storage), length);
}

ListenerSocket::ListenerSocket(EventLoop& loop, Handler& handler, OwnedFd fd, bool uses_reserve)
    : loop_(loop),
      handler_(handler),
      fd_(std::move(fd)),
      retry_([](void* self) { static_cast<ListenerSocket*>(self)->on_retry(); }, this),
      uses_reserve_(uses_reserve) {
  event_ = event_new(
      loop.base(), fd_.get(), EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<ListenerSocket*>(self)->on_readable(); },
      this);
  resume();
}

ListenerSocket::~ListenerSocket() {
  event_free(event_);
}

void ListenerSocket::pause() {
  retry_.disarm();
  if (paused_) return;
  event_del(event_);
  paused_ = true;
}

void ListenerSocket::resume() {
  if (!paused_) return;
  event_add(event_, nullptr);
  paused_ = false;
}

void ListenerSocket::on_readable() {
  for (int i = 0; i < kAcceptsPerTurn && !paused_; ++i) {
    if (!accept_one()) break;
  }
  loop_.flush_dirty();
}

void ListenerSocket::accept_rest() {
  if (held_) handler_.on_accept(std::exchange(held_, OwnedFd()), held_peer_);
  for (int i = 0; i < kBacklog && accept_one(); ++i) {
  }
}

// False: nothing more to accept, or nothing to accept it with.
bool ListenerSocket::accept_one() {
  sockaddr_storage peer;
  socklen_t length = sizeof peer;
  OwnedFd fd(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &length,
                       SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd) {
    const auto from = SocketAddress::from_raw(reinterpret_cast<sockaddr*>(&peer), length);
    if (!uses_reserve_ && descriptors::is_reserved(fd.get())) {
      accept_later(std::move(fd), from);
      return false;
    }
    handler_.on_accept(std::move(fd), from);
    return true;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    wait_for_descriptors();
    return false;
  }
  return errno == EINTR || errno == ECONNABORTED;
}

// Connections stay in the backlog and would wake the loop at once, for ever.
void ListenerSocket::wait_for_descriptors() {
  pause();
  loop_.timers().arm(retry_, kRetryAfter);
  handler_.on_accept_exhausted();
}

// It has left the backlog, so it waits here, unless too many do: every listener of every worker may
// hold one.
void ListenerSocket::accept_later(OwnedFd fd, const SocketAddress& peer) {
  if (!descriptors::is_last(fd.get())) {
    held_ = std::move(fd);
    held_peer_ = peer;
  }
  wait_for_descriptors();
}

void ListenerSocket::on_retry() {
  if (held_) {
    OwnedFd lower(::fcntl(held_.get(), F_DUPFD_CLOEXEC, 0));
    if (!lower || descriptors::is_reserved(lower.get())) {
      return loop_.timers().arm(retry_, kRetryAfter);
    }
    held_.reset();
    handler_.on_accept(std::move(lower), held_peer_);
  }
  resume();
}

}  // namespace tidegate::net
