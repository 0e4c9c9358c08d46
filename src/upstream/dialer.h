// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/timers.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "upstream/tunnel_request.h"

namespace tidegate::upstream {

class Pool;

/// Brings the transport of one upstream connection to its endpoint. Whatever has to pass before the
/// codec's first byte is a step here, in this order:
///
///   1. connect to the endpoint's addresses, or its proxy's, in turn until one answers, beginning
///   with
///      the one that did last; while others are left, each has a share of the connect time-out
///   2. a tunnel through the proxy, if that is the way
///   3. with the PROXY protocol, who the client is
///   4. TLS, if the pool's endpoint wants it
///
/// While it works it is the transport's handler; then its owner takes over and gives it to
/// EventLoop::destroy_later, since it may be on the stack. The time limit of all of it is the
/// owner's.
class Dialer final : public net::Deferred, private net::Transport::Handler {
 public:
  class Owner {
   public:
    /// The transport carries bytes to the origin.
    virtual void on_dialed() = 0;
    /// No way led there; the transport is closed. `detail` is for the log; may be empty.
    virtual void on_dial_failed(ErrorCode code, std::string_view detail) = 0;

   protected:
    ~Owner() = default;
  };

  Dialer(net::Transport& transport, Pool& pool, Owner& owner);

  /// False: no socket to be had. The owner is never called from inside.
  bool start();
  /// Its owner has taken over, or given it up.
  void stop() { timer_.disarm(); }
  /// What it means that time runs out now.
  ErrorCode late() const;

 private:
  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_broken() override;
  void on_drained() override {}
  void on_connected(bool ok) override;
  void on_secured(const net::TlsFailure* failure) override;
  bool connect_next();
  size_t address_count() const;
  bool by_tunnel() const;
  void on_address_timeout();
  void ask_for_tunnel();
  void read_tunnel_reply(std::string_view bytes);
  void tunnel_failed(ErrorCode code, std::string_view detail);
  ErrorCode unreachable() const;
  void introduce();
  void secure();
  bool agreed() const;

  net::Transport& transport_;
  Pool& pool_;
  Owner& owner_;
  Timer timer_;  // of one address, while others are left
  const std::optional<net::SocketAddress> fallback_;
  size_t first_;            // index of the address that was tried first
  size_t tried_ = 0;        // addresses
  bool way_open_ = false;   // bytes go to the origin, through the proxy if there is one
  bool as_learnt_ = false;  // HTTP/1.1 alone was offered, since the origin has asked for it
  std::unique_ptr<TunnelRequest> tunnel_;  // while the proxy is asked
};

}  // namespace tidegate::upstream
