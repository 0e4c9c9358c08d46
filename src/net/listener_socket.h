// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "base/result.h"
#include "base/timers.h"
#include "net/event_loop.h"
#include "net/owned_fd.h"
#include "net/socket_address.h"

struct event;

namespace tidegate::net {

/// Opens a listening socket with SO_REUSEPORT, so that each worker has its own and the kernel
/// spreads connections over them. Port 0 takes a free one: `local_address` tells which.
Fallible<OwnedFd> open_listener(const SocketAddress& address);
SocketAddress local_address(int fd);
/// Whether nobody listens on `address`, nor on all addresses at its port: SO_REUSEPORT alone would
/// share it with another process of the same user, each of which gets a part of the connections.
/// That it is free holds until `claim_port` ends.
Fallible<void> check_free(const SocketAddress& address);
/// While what this gives is open, no other process of this user gets past `claim_port` with the
/// same port: of two that start at once, one finds the other's listener. Waits, but only for a
/// moment: who holds it too long is ignored, since any program could.
OwnedFd claim_port(uint16_t port);

/// Accepts client connections on one socket in one loop. Out of descriptors, of which some are
/// reserved (net/descriptors.h), it stops accepting for a moment instead of spinning; what is
/// accepted already is served on.
class ListenerSocket {
 public:
  class Handler {
   public:
    virtual void on_accept(OwnedFd fd, const SocketAddress& peer) = 0;
    /// Accepting failed for lack of descriptors or memory; it is tried again by itself.
    virtual void on_accept_exhausted() = 0;

   protected:
    ~Handler() = default;
  };

  /// What it accepts with `uses_reserve` may take reserved descriptors.
  ListenerSocket(EventLoop& loop, Handler& handler, OwnedFd fd, bool uses_reserve = false);
  ~ListenerSocket();
  ListenerSocket(const ListenerSocket&) = delete;
  ListenerSocket& operator=(const ListenerSocket&) = delete;

  void pause();
  void resume();
  /// Takes what the kernel has accepted already, before the socket closes and resets it.
  void accept_rest();
  int fd() const { return fd_.get(); }

 private:
  void on_readable();
  bool accept_one();
  void accept_later(OwnedFd fd, const SocketAddress& peer);
  void wait_for_descriptors();
  void on_retry();

  EventLoop& loop_;
  Handler& handler_;
  OwnedFd fd_;
  event* event_;
  Timer retry_;
  const bool uses_reserve_;
  OwnedFd held_;  // accepted, with a reserved descriptor: waits for another
  SocketAddress held_peer_;
  bool paused_ = true;
};

}  // namespace tidegate::net
