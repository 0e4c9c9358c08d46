// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <event2/event_struct.h>

#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/output_buffer.h"
#include "net/event_loop.h"
#include "net/owned_fd.h"
#include "net/socket_address.h"
#include "net/tls.h"

namespace tidegate::net {

/// The byte pipe under one connection: a non-blocking socket, its events on the loop, its output.
/// Owned by the connection, which is also its handler; used in the loop's thread only. After
/// `close` the handler hears nothing more. Plain, until `start_tls` puts TLS between the bytes of
/// both sides and the socket.
class Transport {
 public:
  class Handler {
   public:
    /// `bytes` stand in the loop's read buffer: valid during the call, and until the flush that
    /// ends it.
    virtual void on_bytes(std::string_view bytes) = 0;
    /// The peer sends no more. Reading has stopped. With TLS the peer has said so, in close_notify.
    virtual void on_eof() = 0;
    /// The pipe is broken; it is closed already. With TLS also where the bytes ended without
    /// close_notify: somebody may have cut them off.
    virtual void on_broken() = 0;
    /// All output has been written after some had to wait, or was written at once by this flush.
    virtual void on_drained() = 0;
    /// A flush begins: the last chance to append output for it.
    virtual void on_flush() {}
    /// After `connect`: whether it worked. A failed transport is closed already.
    virtual void on_connected(bool ok) = 0;
    /// After `start_tls`: the handshake worked (`failure` is nullptr), or it did not. Then the pipe
    /// is open and plain, does not read, and is good for a last word before `close`.
    virtual void on_secured(const TlsFailure* failure) { (void)failure; }

   protected:
    ~Handler() = default;
  };

  /// Takes over a connected (or, before `connect`, no) socket.
  Transport(EventLoop& loop, Handler& handler, OwnedFd fd);
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  ~Transport();

  /// From now on `handler` hears what happens, and must outlive that. Not from inside a call to the
  /// present one that it goes on after.
  void handle_with(Handler& handler) { handler_ = &handler; }

  EventLoop& loop() { return loop_; }
  OutputBuffer& output() { return output_; }
  bool open() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  /// Of the socket on this side. A system call.
  SocketAddress local_address() const;

  /// Begins to connect; the handler hears `on_connected`, never from inside this call. False: no
  /// descriptor left, or the address can not be used; errno says which.
  bool connect(const SocketAddress& address);
  /// From now on the bytes of both sides are TLS; begins the handshake, and to read. What went
  /// before was plain: it has been read (see `peek`), and flushed. The handler hears `on_secured`,
  /// never from inside this call.
  void start_tls(std::unique_ptr<Tls> tls);
  /// nullptr: plain.
  const Tls* tls() const { return tls_.get(); }

  /// Registers for reading, once; it then stays registered, so that steady state needs no
  /// epoll_ctl.
  void start_reading();
  /// Back-pressure; `resume_reading` undoes it.
  void pause_reading();
  void resume_reading();
  /// Reads once what has arrived already, as if the loop had said so. The handler may be called.
  void read_arrived();
  /// For the loop: as it said in `read_next_turn`.
  void read_kept();
  bool reading() const { return reading_; }
  /// From now on `on_bytes` shows what has arrived and leaves it in the kernel; `take` takes it
  /// from there. For what stands before the bytes that another kind of transport is to read itself.
  void peek(bool on);
  /// REQUIRES: `bytes` of them have been shown. What `on_bytes` gave is gone then.
  void take(size_t bytes);

  uint64_t bytes_written() const { return bytes_written_; }
  /// Bytes that wait in the process.
  size_t bytes_unwritten() const {
    return output_.size() + (tls_ == nullptr ? 0 : tls_->bytes_unsent());
  }
  /// Of those written, what the peer has acknowledged: the kernel may hold megabytes for a slow
  /// one. A system call.
  uint64_t bytes_taken() const;
  /// All output has left the process.
  bool flushed() const { return output_.empty() && (tls_ == nullptr || tls_->all_sent()); }
  /// The kernel took less than there was: what is appended now waits in memory.
  bool write_blocked() const { return blocked_ || connecting_; }
  /// A failed write does not close the pipe: what the peer had sent before is still read, then its
  /// end. For the side that may be answered before it has said everything.
  void read_on_after_failed_write() { reads_on_ = true; }
  /// Output was appended: flush at the end of this callback.
  void schedule_flush();
  /// Writes what the kernel takes; the rest waits for writability.
  void flush();
  /// This connection carries many streams: more may wait for the end of the turn, since each write
  /// and each TLS record saved is worth more than the copy.
  void gather_more() { gathers_more_ = true; }
  /// For the loop: the callback has ended that appended output. Short output waits on, for the end
  /// of the turn (see EventLoop::flush_at_turn_end); longer output is written.
  void end_callback();
  void flush_gathered();
  /// No more output after what waits now (with TLS, close_notify). More than once is as good as
  /// once.
  void shutdown_write_after_flush();
  /// Drops output, deregisters, closes the socket. With TLS, says close_notify before if there was
  /// no output to drop.
  void close();
  /// As `close`, and the peer gets a reset instead of an orderly end.
  void abort();

 private:
  enum class Io : uint8_t { Done, Again, Closed, Broken };
  struct IoResult {
    Io state;
    size_t bytes;
  };
  IoResult receive(char* to, size_t size);
  bool begin_flush();
  void end_flush();
  Io write_output();
  Io write_plain();

  // transport_tls.cc
  void read_tls();
  bool receive_ciphertext();
  void shake_hands();
  void deliver_plaintext();
  void read_later();
  Io write_tls();
  Io send_ciphertext();
  void say_close_notify();

  void on_readable();
  void on_writable();
  void finish_connect();
  bool say_end();
  void block();
  void want_write();
  void broken();
  void write_broke();

  EventLoop& loop_;
  Handler* handler_;
  OutputBuffer output_;
  uint64_t bytes_written_ = 0;
  std::unique_ptr<Tls> tls_;
  OwnedFd fd_;
  bool reading_ = false;
  bool connecting_ = false;
  bool dirty_ = false;     // the loop knows that it flushes when the callback ends
  bool gathered_ = false;  // and that it does when the turn ends
  bool gathers_more_ = false;
  bool blocked_ = false;  // the kernel took less than there was
  bool shutdown_due_ = false;
  bool shut_ = false;  // for writing
  bool reads_on_ = false;
  bool peeking_ = false;
  bool write_failed_ = false;  // output is dropped
  bool read_due_ = false;      // the loop knows that it reads in the next turn
  event read_event_;
  std::unique_ptr<event> write_event_;  // only while connecting or blocked
};

}  // namespace tidegate::net
