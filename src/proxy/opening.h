// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/timers.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "proxy/listener_runtime.h"

namespace tidegate::proxy {

/// What happens on a client's connection before its codec exists: from the first byte to the choice
/// of the protocol. Whatever else has to pass before the codec's first byte is a step here, in the
/// order of the functions below. While it works it is the transport's handler; then its owner takes
/// over and gives it to EventLoop::destroy_later, since it may be on the stack.
///
///   1. with `proxy_protocol`: the PROXY protocol header, and with it who the client is
///   2. TLS, if the listener has it; then ALPN has chosen the protocol
///   3. cleartext: the client preface of HTTP/2 (prior knowledge, RFC 9113 3.3), else HTTP/1
class Opening final : public net::Deferred, private net::Transport::Handler {
 public:
  enum class Protocol : uint8_t { Http1, Http2 };

  struct Opened {
    Protocol protocol;
    /// The codec's first; they may stand in the Opening, and are good until the flush that ends the
    /// callback.
    std::string_view bytes;
    bool eof = false;      // and the client sends no more
    bool expired = false;  // time ran out over them
  };

  class Owner {
   public:
    /// The client's address is another one than the connection's, and so is the port that it
    /// connected to.
    virtual void on_client_named(const net::SocketAddress& client, uint16_t server_port) = 0;
    /// The peer speaks for a client that it can not name, so what that one says is not the peer's.
    virtual void on_client_unknown() = 0;
    virtual void on_opened(const Opened& opened) = 0;
    /// Nobody to talk to: gone, silent for too long, or not to be understood. Close.
    virtual void on_opening_failed() = 0;

   protected:
    ~Owner() = default;
  };

  Opening(net::Transport& transport, const ListenerRuntime& listener, Owner& owner);

  /// Begins to read. The owner is never called from inside.
  void start();
  /// From now on each step takes this long at most, the one at work counted from here; but a
  /// handshake that has begun keeps its time.
  void limit(Duration longest);

 private:
  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_broken() override { owner_.on_opening_failed(); }
  void on_drained() override {}
  void on_connected(bool) override {}
  void on_secured(const net::TlsFailure* failure) override;
  void on_timeout();
  void arm(Duration after);
  void read_proxy_header(std::string_view bytes);
  void secure();
  /// In cleartext, with too few bytes to choose by.
  bool chooses() const { return !header_due_ && !waiting_.empty(); }
  void linger();
  void choose_by_preface(std::string_view bytes);
  void finish(const Opened& opened);

  net::Transport& transport_;
  const ListenerRuntime& listener_;
  Owner& owner_;
  Timer timer_;
  Duration longest_ = Duration::max();
  bool header_due_;         // of the PROXY protocol
  bool lingering_ = false;  // the last word was said; what the client still sends is dropped
  size_t dropped_ = 0;
  std::string waiting_;  // the beginning of that header, or of a preface, as it seems
};

}  // namespace tidegate::proxy
