// SPDX-License-Identifier: Apache-2.0
// bench_relay PORT ORIGIN_PORT: copies bytes between a client and an origin connection of its own:
// epoll, read and write and nothing else, so the floor that the kernel sets for any proxy.
#include <vector>

#include "sockets.h"

namespace bench {
namespace {

struct End {
  int peer = -1;
  std::string pending;  // read from the peer, not yet taken by this end's socket
};

class Relay {
 public:
  Relay(uint16_t port, uint16_t origin_port)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), listener_(listen_on(port)), origin_(origin_port) {
    watch(epoll_, EPOLL_CTL_ADD, listener_, EPOLLIN);
  }

  [[noreturn]] void run() {
    epoll_event events[256];
    for (;;) {
      const int count = ::epoll_wait(epoll_, events, 256, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener_) {
          accept_all();
        } else if (at(fd).peer >= 0 && !serve(fd, events[i].events)) {
          close_pair(fd);
        }
      }
    }
  }

 private:
  End& at(int fd) {
    const auto index = static_cast<size_t>(fd);
    if (index >= ends_.size()) ends_.resize(index + 1);
    return ends_[index];
  }

  void accept_all() {
    for (int fd = accept_from(listener_); fd >= 0; fd = accept_from(listener_)) {
      const int peer = connect_to(origin_);
      at(fd).peer = peer;
      at(peer).peer = fd;
      watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN);
      watch(epoll_, EPOLL_CTL_ADD, peer, EPOLLIN);
    }
  }

  /// False when either end has closed.
  bool serve(int fd, uint32_t events) {
    if (events & EPOLLOUT) return flush(fd);
    static char buffer[64 * 1024];
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    const int peer = at(fd).peer;
    switch (write_or_keep(peer, {buffer, static_cast<size_t>(n)}, at(peer).pending)) {
      case Write::Done:
        return true;
      case Write::Blocked:
        break;
      case Write::Broken:
        return false;
    }
    update_interest(fd);
    update_interest(peer);
    return true;
  }

  bool flush(int fd) {
    const std::string bytes = std::move(at(fd).pending);
    at(fd).pending.clear();
    const Write result = write_or_keep(fd, bytes, at(fd).pending);
    if (result == Write::Done) {
      update_interest(fd);
      update_interest(at(fd).peer);
    }
    return result != Write::Broken;
  }

  /// Reads while its peer keeps up; waits for room while something is pending.
  void update_interest(int fd) {
    const bool can_read = at(at(fd).peer).pending.empty();
    const bool must_write = !at(fd).pending.empty();
    watch(epoll_, EPOLL_CTL_MOD, fd, (can_read ? EPOLLIN : 0U) | (must_write ? EPOLLOUT : 0U));
  }

  void close_pair(int fd) {
    const int peer = at(fd).peer;
    at(fd) = End{};
    at(peer) = End{};
    ::close(fd);
    ::close(peer);
  }

  int epoll_;
  int listener_;
  uint16_t origin_;
  std::vector<End> ends_;  // by descriptor
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_relay PORT ORIGIN_PORT\n");
    return 2;
  }
  const auto port = [](const char* text) { return static_cast<uint16_t>(std::atoi(text)); };
  bench::Relay(port(argv[1]), port(argv[2])).run();
}
