// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "base/intrusive_list.h"
#include "base/timers.h"
#include "http/codec.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "upstream/dialer.h"

namespace tidegate::upstream {

class Pool;

/// Hears that an upstream connection which was over its watermark takes bytes again.
class DrainWaiter : public ListNode<DrainWaiter> {
 public:
  virtual void on_upstream_drained() = 0;

 protected:
  ~DrainWaiter() = default;
};

/// One connection to an endpoint, whose codec is chosen when it has been dialed. Owned by its pool,
/// destroyed at the end of a loop turn.
class Connection final : public net::Deferred,
                         public ListNode<Connection>,
                         private net::Transport::Handler,
                         private Dialer::Owner {
 public:
  Connection(Pool& pool, net::EventLoop& loop);
  ~Connection() override;

  /// Begins to connect to the endpoint. False: no socket to be had. The pool hears the outcome.
  bool connect();

  /// REQUIRES: dialed.
  http::ClientCodec& codec() { return *codec_; }
  Pool& pool() { return pool_; }
  net::EventLoop& loop() { return transport_.loop(); }
  /// It carries no stream at present.
  bool idle() const { return codec_ != nullptr && codec_->idle(); }
  /// It has carried another exchange than the newest, so that its death may be no news of that one.
  bool reused() const { return streams_ > 1; }
  /// It carries many streams at once (HTTP/2).
  bool multiplexed() const { return multiplexed_; }
  /// A stream may be opened now.
  bool can_open() const;
  /// It may carry further streams, if not now.
  bool takes_more() const;
  /// REQUIRES: can_open().
  http::StreamId open(http::ResponseReceiver& receiver);
  void schedule_flush() { transport_.schedule_flush(); }
  /// The origin takes nothing at present, on the whole connection or on this stream.
  bool write_blocked(http::StreamId stream) const {
    return transport_.write_blocked() || codec_->write_blocked(stream);
  }
  /// Since the beginning; bytes that have left the process.
  uint64_t bytes_written() const { return transport_.bytes_written(); }
  uint64_t bytes_taken() const { return transport_.bytes_taken(); }
  /// As above, once what waits now has been written.
  /// Bytes that have gone, or will go whatever becomes of the stream they belong to: what waits on
  /// a connection that streams share is still written, that of one which fails alone goes with it.
  uint64_t bytes_committed() { return multiplexed_ ? bytes_appended() : bytes_written(); }
  uint64_t bytes_appended() { return transport_.bytes_written() + transport_.bytes_unwritten(); }
  /// An Upgrade can be asked for.
  bool takes_upgrades() const { return codec_->takes_upgrades(); }
  /// The origin wants HTTP/1.1 (see http::ClientCodec).
  bool asks_for_http1() const { return codec_->asks_for_http1(); }
  /// Copies output that was only borrowed.
  void keep_output() { transport_.output().settle(); }
  /// Calls back once what waits has been written.
  void wait_for_drain(DrainWaiter& waiter) { drain_waiters_.push_back(waiter); }
  /// Back-pressure on one stream's response.
  void pause(http::StreamId stream);
  void resume(http::StreamId stream);

  /// The user of a stream has finished with it: the connection goes back to the pool, or closes.
  void stream_done();
  /// A stream got no answer in time: unless the origin speaks again soon, the connection is dead.
  void stream_timed_out();
  /// The pool's TLS is another one now: carry no further stream. REQUIRES: dialed.
  void leave_outdated();
  /// Idle for longer than the pool allows, or no longer wanted.
  void close();
  void close_if_idle();
  void close_with_last_words();

 private:
  /// What the timer is for, too.
  enum class State : uint8_t {
    Connecting,  // dialing, or the codec can not open a stream yet
    Idle,        // no stream is open
    Busy,        // streams are open; HTTP/2: silence is looked into
    Suspect,     // streams may be open; a sign of life is awaited, and no stream opened
  };

  void on_bytes(std::string_view bytes) override;
  void on_eof() override;
  void on_broken() override;
  void on_drained() override;
  void on_flush() override { codec_->produce(transport_.write_blocked()); }
  void on_connected(bool) override {}
  void on_dialed() override;
  void on_dial_failed(ErrorCode code, std::string_view detail) override;
  void on_timeout();
  void on_silence();
  void choose_codec();
  void fail_connecting(ErrorCode code);
  void suspect_death();
  void settle();
  void enter(State state);
  bool worn_out() const;

  Pool& pool_;
  net::Transport transport_;
  std::unique_ptr<Dialer> dialer_;  // until it has a codec
  std::unique_ptr<http::ClientCodec> codec_;
  Timer timer_;
  List<DrainWaiter> drain_waiters_;
  uint64_t streams_ = 0;
  State state_ = State::Connecting;
  uint32_t epoch_ = 0;  // of the pool when it was dialed
  bool receiving_ = false;
  bool multiplexed_ = false;  // many streams at once
  bool heard_ = false;        // bytes have come since the timer was armed
};

}  // namespace tidegate::upstream
