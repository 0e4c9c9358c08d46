// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "base/intrusive_list.h"
#include "base/timers.h"
#include "net/transport.h"
#include "proxy/context.h"
#include "proxy/downstream.h"
#include "proxy/listener_runtime.h"
#include "proxy/opening.h"

namespace tidegate::proxy {

/// A client's connection: its transport, its server codec (chosen by the opening), and the
/// exchanges at work: on HTTP/1 one at a time, on HTTP/2 one per open stream. Owned by the worker's
/// list, destroys itself (at the end of a loop turn) when it has closed. While idle it owns no
/// memory beside itself and its codec.
class DownstreamConnection final : public net::Deferred,
                                   public ListNode<DownstreamConnection>,
                                   public Downstream,
                                   public http::ServerCodecOwner,
                                   private net::Transport::Handler,
                                   private Opening::Owner {
 public:
  DownstreamConnection(WorkerContext& context, ListenerRuntime& listener, net::OwnedFd fd,
                       const net::SocketAddress& peer);
  ~DownstreamConnection() override;

  void start();
  /// Finish what runs, then close. Whoever has nothing under way gets one answer, if the request
  /// comes soon.
  void drain();
  /// Close now: what runs is broken off by this proxy, and logged as such.
  void cut();
  /// Close now, whatever runs: the client has gone, or there is nothing left to say.
  void close();

  // Downstream
  http::ServerCodec& codec() override { return *codec_; }
  Peer peer(Arena& arena) const override;
  const config::Listener& listener() const override { return listener_.config; }
  net::TlsFacts::Pin tls() override;
  upstream::ProxiedClient& proxied_client() override;
  void schedule_flush() override { transport_.schedule_flush(); }
  uint64_t bytes_taken() const override { return transport_.bytes_taken(); }
  bool write_blocked(http::StreamId stream) const override {
    return transport_.write_blocked() || codec_->write_blocked(stream);
  }
  void pause_request(http::StreamId stream) override;
  void resume_request(http::StreamId stream) override;
  void stream_ended(http::StreamId stream) override;

  // ServerCodecOwner
  Begun begin_request(http::StreamId stream) override;

 private:
  struct HeldBytes final : net::Deferred {
    std::string bytes;
  };
  /// About the client, for scripts and origins. Few ask, so idle connections have one word for it.
  struct Known {
    net::TlsFacts::Pin tls;
    std::unique_ptr<upstream::ProxiedClient> proxied;
  };
  /// What the timer is for.
  enum class Await : uint8_t {
    Nothing,
    Request,   // none is open; or, on HTTP/2, a look at streams that stand still
    Head,      // the rest of one
    Feeding,   // bytes held behind much output have their turn
    Farewell,  // the client has been told that it is over, and may still have asked
    ClientEnd  // lingering
  };

  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_broken() override;
  void on_drained() override;
  void on_flush() override;
  void on_connected(bool) override {}
  void on_client_named(const net::SocketAddress& client, uint16_t server_port) override;
  void on_client_unknown() override { trusted_ = false; }
  void on_opened(const Opening::Opened& opened) override;
  void on_opening_failed() override { close(); }
  void await(Await what);
  void on_timeout();
  void on_silence();
  void drop(size_t size);
  void feed(std::string_view bytes);
  void feed_held();
  void tell_eof();
  bool gone_with_eof();
  void after_input();
  void finish_if_done();
  void linger();
  void say_farewell();
  void begin_farewell_if_due();
  void end_farewell();
  bool rests() const;
  bool still_delivers();
  bool client_reads();
  Known& known();
  void leave_opened();
  void expire_stalled();
  void leave_exchanges();
  void count_streams();
  bool lingering() const { return await_ == Await::ClientEnd; }

  WorkerContext& context_;
  ListenerRuntime& listener_;
  net::Transport transport_;
  std::unique_ptr<Opening> opening_;  // until there is a codec
  std::unique_ptr<http::ServerCodec> codec_;
  List<Exchange, Downstream> exchanges_;
  Timer timer_;
  IpAddress ip_;
  uint32_t requests_ = 0;
  uint16_t streams_counted_ = 0;  // HTTP/2: in the gauge of open streams
  uint16_t port_;
  uint16_t server_port_ = 0;  // as the PROXY protocol says it; 0: the listener's
  Await await_ = Await::Nothing;
  bool unix_;                 // by a unix socket
  bool trusted_;              // by the listener
  bool multiplexed_ = false;  // many exchanges at once
  bool paused_ = false;       // by the one exchange of HTTP/1
  bool receiving_ = false;    // the codec is on the stack
  bool eof_ = false;          // the client sends no more
  bool eof_told_ = false;     // and the codec knows
  TimePoint stalls_looked_at_{};
  uint64_t taken_before_ = 0;        // by the client, when the timer last looked
  uint32_t dropped_ = 0;             // bytes, while lingering
  std::unique_ptr<HeldBytes> held_;  // what the codec takes later
  std::unique_ptr<Known> known_;     // once somebody has asked
};

}  // namespace tidegate::proxy
