// SPDX-License-Identifier: Apache-2.0
// The CPU budget of scripts. A worker says where a run begins and ends with plain stores; one
// thread per process watches, measures the worker thread's CPU time, and interrupts a run past its
// budget by a signal to that very thread, whose handler arms a hook of the Lua VM.
//
//   worker     even ──begin──▶ odd (running) ──end──▶ even         sequence number
//   watchdog   sees odd: notes the thread's CPU time; sees the same odd again and too much CPU:
//   signals handler    still the same run? raises `interrupted`, calls `arm`
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

namespace tidegate::script {

/// What is interrupted: a VM. `arm` runs in a signal handler of the VM's own thread.
class Interruptible {
 public:
  virtual void arm() = 0;
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

  /// REQUIRES: no run is under way.
  void begin(Interruptible& target, Duration cpu_budget);
  /// After it the run can no longer be interrupted.
  void end() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  /// Of the calling thread; nullptr: it has none.
  static Watch* of_thread();
  bool running() const { return (sequence_.load(std::memory_order_relaxed) & 1) != 0; }

 private:
  friend class Watchdog;
  static void on_signal(int);

  Watchdog& watchdog_;
  std::atomic<Interruptible*> target_{nullptr};
  std::atomic<uint64_t> sequence_{0};
  std::atomic<uint64_t> budget_ns_{0};
  std::atomic<uint64_t> interrupt_{0};  // the run to interrupt
  pthread_t thread_;
  clockid_t clock_;
  // the watchdog's own notes
  uint64_t seen_ = 0;   // the run that is timed
  uint64_t last_ = 0;   // the sequence number at the last look
  int64_t cpu_at_seen_ns_ = 0;
};

/// The thread that watches. Must outlive every Watch. Uses SIGURG, which does nothing to a process
/// that does not handle it and which nothing else here needs.
class Watchdog {
 public:
  static constexpr int kSignal = SIGURG;

  Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

 private:
  friend class Watch;
  void add(Watch& watch);
  void remove(Watch& watch);
  void loop();
  bool look_at(Watch& watch);  // true: a run was under way
  bool anything_ran();
  void sleep_until_woken(std::unique_lock<std::mutex>& lock);
  void wake();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Watch*> watches_;
  std::atomic<bool> asleep_{false};  // no run was seen for a while: the next one wakes the watchdog
  bool stopping_ = false;
  std::thread thread_;
};

inline void Watch::begin(Interruptible& target, Duration cpu_budget) {
  target_.store(&target, std::memory_order_relaxed);
  budget_ns_.store(static_cast<uint64_t>(cpu_budget.count()), std::memory_order_relaxed);
  sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  // The store above and this load are kept in order by the watchdog's barrier, not by one here.
  if (watchdog_.asleep_.load(std::memory_order_relaxed)) [[unlikely]] watchdog_.wake();
}

}  // namespace tidegate::script
