// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/output_buffer.h"
#include "base/timers.h"

struct event;
struct event_base;

namespace tidegate::net {

class Transport;
struct TlsBuffers;

/// Something that is destroyed at the end of a loop turn, because it may still be on the call
/// stack.
class Deferred {
 public:
  virtual ~Deferred() = default;
};

/// Work that is done piece by piece, from turn to turn.
class TurnWork {
 public:
  virtual void on_turn() = 0;

 protected:
  ~TurnWork() = default;
};

/// The event loop of one thread: libevent's base, the time of the turn, timers, functions posted
/// from other threads, output that waits to be flushed, and objects that wait to be destroyed.
/// All members but `post` and `stop_soon` belong to the thread that calls `run`.
class EventLoop {
 public:
  static constexpr size_t kReadBufferSize = 64 * 1024;
  static constexpr unsigned kHandshakesPerTurn = 8;
  static constexpr size_t kMostGathered = OutputBlocks::kKept;

  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  /// Turns until `stop`.
  void run();
  /// Waits until something happens, and sees to it.
  void turn();
  void stop() { running_ = false; }

  /// Runs `task` in the loop's thread at its next turn. Any thread.
  void post(std::function<void()> task);

  event_base* base() { return base_; }
  Clock& clock() { return clock_; }
  TimePoint now() { return clock_.now(); }
  Timers& timers() { return timers_; }
  OutputBlocks& output_blocks() { return output_blocks_; }
  /// One buffer for all reads of the thread; what is in it is gone at the next callback.
  char* read_buffer() { return read_buffer_.get(); }

  /// One for all TLS connections of the thread; what is in it is gone at the next callback.
  TlsBuffers& tls_buffers();

  /// Handshakes are long computations: so many have their turn before all other events have theirs
  /// again. False: try again in the next turn.
  bool may_shake_hands() { return handshakes_++ < kHandshakesPerTurn; }
  /// `transport` has bytes to work on although its socket may have none: it reads in the next turn.
  void read_next_turn(Transport& transport) { reads_due_.push_back(&transport); }
  void forget_read(Transport& transport);

  /// Calls `work` once, at the beginning of the next turn, which then does not wait for events.
  void next_turn(TurnWork& work);
  void forget(TurnWork& work);
  /// Number of the turn.
  uint64_t turns() const { return turns_; }
  /// A debug build measures its turns; a release build takes no time for it.
#ifdef NDEBUG
  static constexpr bool kMeasuresTurns = false;
#else
  static constexpr bool kMeasuresTurns = true;
#endif
  /// The most CPU time of this thread that a turn has taken since the last call; zero where turns
  /// are not measured. Any thread.
  Duration take_longest_turn() {
    return Duration(longest_turn_ns_.exchange(0));
  }

  /// `transport` has output; it is flushed when the current callback returns.
  void schedule_flush(Transport& transport) {
    dirty_.push_back(&transport);
  }
  void forget_flush(Transport& transport);
  /// Every callback of the loop ends with this.
  void flush_dirty();
  /// `transport` has short output, which waits for the turn's other callbacks: they may append to
  /// it, and code that runs for many connections in a row finds itself in the processor's caches,
  /// as the kernel's way out does when it is taken for many in a row.
  void flush_at_turn_end(Transport& transport) {
    gathered_.push_back(&transport);
  }
  /// Output that is short may wait.
  bool gathers() const {
    return gathers_ && !flushing_ && gathered_.size() < kMostGathered;
  }
  /// The callback has worked for more than a fraction of a millisecond, or is about to: what waits
  /// is flushed when it ends, and what comes in this turn waits no more.
  void stop_gathering() {
    gathers_ = false;
  }
  /// The same, and for some time to come, because there may be more such callbacks.
  void stop_gathering_for(Duration time);
  /// Flushes what waits. Not from inside a flush.
  void flush_gathered();

  /// Destroys `object` at the end of this turn.
  void destroy_later(std::unique_ptr<Deferred> object) {
    doomed_.push_back(std::move(object));
  }
  /// Destroys all that waits for it, and what comes to wait meanwhile. REQUIRES: no callback runs.
  void destroy_doomed();

 private:
  void end_turn();
  bool gathers_again();
  void do_turn_work();
  void measure_turn();
  void read_due();
  void run_posted();
  void schedule_sweep();

  event_base* base_;
  Clock clock_;
  Timers timers_{clock_};
  OutputBlocks output_blocks_;
  std::unique_ptr<char[]> read_buffer_;
  std::unique_ptr<TlsBuffers> tls_buffers_;
  std::vector<Transport*> dirty_;
  std::vector<Transport*> gathered_;
  bool gathers_ = false;
  bool flushing_ = false;  // what was gathered
  TimePoint gathers_again_at_{};
  std::vector<Transport*> reads_due_;
  std::vector<TurnWork*> works_;
  uint64_t turns_ = 1;
  int64_t turn_began_ns_ = 0;  // CPU time of the thread
  std::atomic<int64_t> longest_turn_ns_{0};
  unsigned handshakes_ = 0;  // in this turn
  std::vector<std::unique_ptr<Deferred>> doomed_;
  event* sweep_event_;
  TimePoint sweep_at_ = TimePoint::max();
  bool running_ = true;

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  int wake_fd_;
  event* wake_event_;
};

}  // namespace tidegate::net
