// SPDX-License-Identifier: Apache-2.0
// The CPU budget and the slices of scripts. A worker says where a run begins and ends with plain
// stores; one thread per process watches, measures the worker thread's CPU time, and interrupts a
// run past its budget by a signal to that very thread, whose handler arms a hook of the Lua VM.
//
//   worker     even ──begin──▶ odd (running) ──end──▶ even         sequence number
//   watchdog   sees odd: notes the thread's CPU time; sees the same odd again and too much CPU:
//   signals handler    still the same run? raises `interrupted`, calls `arm`
//
// A run that may be sliced is interrupted the same way, once, when it has taken kSlice of time by
// the clock: the handler calls `slice`.
//
// Where no run has been seen for a while the watchdog sleeps until the next one begins.
#pragma once
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "script/chores.h"

namespace tidegate::script {

/// What is interrupted: a VM. `arm` runs in a signal handler of the VM's own thread.
class Interruptible {
 public:
  virtual void arm() = 0;
  /// The same, for a run that is to go on later.
  virtual void slice() = 0;
  /// Raised together with `arm`; C functions that can run long look at it.
  std::atomic<bool> interrupted{false};

 protected:
  ~Interruptible() = default;
};

class Watchdog;

/// One thread's place with the watchdog. Made, used and destroyed in that thread; at most one at a
/// time in each.
class Watch {
 public:
  explicit Watch(Watchdog& watchdog);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  /// `sliced_from`: ticks() now, if the run may be sliced; else 0. REQUIRES: no run is under way.
  void begin(Interruptible& target, Duration cpu_budget, uint64_t sliced_from);
  /// After it the run can no longer be interrupted.
  void end() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  /// Of the calling thread; nullptr: it has none.
  static Watch* of_thread();
  Watchdog& watchdog() const { return watchdog_; }
  bool running() const { return (sequence_.load(std::memory_order_relaxed) & 1) != 0; }

 private:
  friend class Watchdog;
  static void on_signal(int);
  void interrupt();

  Watchdog& watchdog_;
  std::atomic<Interruptible*> target_{nullptr};
  std::atomic<uint64_t> sequence_{0};
  std::atomic<uint64_t> budget_ns_{0};
  std::atomic<uint64_t> sliced_from_{0};
  std::atomic<uint64_t> interrupt_{0};  // the run to interrupt
  std::atomic<uint64_t> slice_{0};      // the run to slice
  pthread_t thread_;
  clockid_t clock_;
  // the watchdog's own notes
  uint64_t seen_ = 0;  // the run that is timed
  uint64_t last_ = 0;  // the sequence number at the last look
  int64_t cpu_at_seen_ns_ = 0;
};

/// The thread that watches. Must outlive every Watch. Uses SIGURG, which does nothing to a process
/// that does not handle it and which nothing else here needs.
class Watchdog {
 public:
  static constexpr int kSignal = SIGURG;
  static constexpr Duration kSlice = std::chrono::milliseconds(1);

  Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  /// Call before a VM is destroyed. Orders its end with the watchdog's accesses in ThreadSanitizer
  /// builds, where the watchdog arms VMs from its own thread; does nothing in others.
  void forget_target();
  /// For what the threads it watches have no time for.
  Chores& chores() { return chores_; }

 private:
  friend class Watch;
  void add(Watch& watch);
  void remove(Watch& watch);
  void loop();
  bool look_at(Watch& watch);  // true: a run was under way
  void look_for_slice(Watch& watch, uint64_t sequence);
  static void signal(Watch& watch);
  bool anything_ran();
  void sleep_until_woken(std::unique_lock<std::mutex>& lock);
  void wake();

  Chores chores_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Watch*> watches_;
  const uint64_t slice_ticks_;
  std::atomic<bool> asleep_{false};  // no run was seen for a while: the next one wakes the watchdog
  bool stopping_ = false;
  std::thread thread_;
};

inline void Watch::begin(Interruptible& target, Duration cpu_budget, uint64_t sliced_from) {
  target_.store(&target, std::memory_order_relaxed);
  sliced_from_.store(sliced_from, std::memory_order_relaxed);
  budget_ns_.store(static_cast<uint64_t>(cpu_budget.count()), std::memory_order_relaxed);
  sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  // The store above and this load are kept in order by the watchdog's barrier, not by one here.
  if (watchdog_.asleep_.load(std::memory_order_relaxed)) [[unlikely]]
    watchdog_.wake();
}

}  // namespace tidegate::script
