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

/// A client's connection: its transport, its server codec (chosen by the opening), and the exchange
/// at work. Owned by the worker's list, destroys itself (at the end of a loop turn) when it has
/// closed. While idle it owns no memory beside itself and its codec.
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
  /// Finish what runs, then close; at once if nothing does.
  void drain();
  /// Close now, whatever runs.
  void close();

  // Downstream
  http::ServerCodec& codec() override { return *codec_; }
  Peer peer(Arena& arena) const override;
  const config::Listener& listener() const override { return listener_.config; }
  void schedule_flush() override { transport_.schedule_flush(); }
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

  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_broken() override;
  void on_drained() override;
  void on_flush() override { codec_->produce(transport_.write_blocked()); }
  void on_connected(bool) override {}
  void on_client_named(const net::SocketAddress& client) override;
  void on_opened(const Opening::Opened& opened) override;
  void on_opening_failed() override { close(); }
  void on_timeout();
  void feed(std::string_view bytes);
  void feed_held();
  void tell_eof();
  void after_input();
  void finish_if_done();
  void linger();

  WorkerContext& context_;
  ListenerRuntime& listener_;
  net::Transport transport_;
  std::unique_ptr<Opening> opening_;          // until there is a codec
  std::unique_ptr<http::ServerCodec> codec_;
  Exchange* exchange_ = nullptr;
  Timer timer_;
  IpAddress ip_;
  uint32_t requests_ = 0;
  uint16_t port_;
  bool unix_;               // by a unix socket
  bool trusted_;            // by the listener
  bool paused_ = false;     // by the exchange
  bool receiving_ = false;  // the codec is on the stack
  bool eof_ = false;       // the client sends no more
  bool eof_told_ = false;  // and the codec knows
  bool lingering_ = false;
  bool feed_due_ = false;    // the timer runs for bytes held behind much output
  bool head_timed_ = false;  // the timer runs for a request head
  uint64_t written_before_ = 0;      // when the timer last looked
  std::unique_ptr<HeldBytes> held_;  // what the codec takes after the current stream
};

}  // namespace tidegate::proxy
