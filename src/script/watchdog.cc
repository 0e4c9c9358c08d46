// SPDX-License-Identifier: Apache-2.0
#include "script/watchdog.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <ctime>
#include <utility>

#include "script/ticks.h"

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer holds signals back until a system call, so in that build alone the watchdog arms
// a VM from its own thread (see kSignals), which no lock orders with the VM's end. A shipped build
// signals the VM's thread, and has no such access.
extern "C" const char* __tsan_default_suppressions() {
  return "race:tidegate::script::Watchdog::signal\n";
}
extern "C" const char* __tsan_default_options() {
  return "history_size=7";  // a report whose other stack is lost is not suppressed
}
#endif

namespace tidegate::script {
namespace {

// Of the thread that runs; constant-initialised, so the handler can read it at any time.
thread_local Watch* t_watch = nullptr;

// ThreadSanitizer holds signals back until the thread makes a call that it knows, which a loop in
// Lua never does. There the watchdog arms the hook from its own thread, which is good enough for
// tests.
#if defined(__SANITIZE_THREAD__)
constexpr bool kSignals = false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool kSignals = false;
#else
constexpr bool kSignals = true;
#endif
#else
constexpr bool kSignals = true;
#endif

constexpr auto kBusyPoll = std::chrono::milliseconds(1);
constexpr auto kIdlePoll = std::chrono::milliseconds(2);
// After so many polls that saw nothing run, the watchdog sleeps.
constexpr int kQuietPolls = 50;
// How long at most where the kernel has no barrier to offer, so that a wake-up can be missed.
constexpr auto kSleepPoll = std::chrono::milliseconds(50);

int membarrier(int command) {
  return static_cast<int>(::syscall(SYS_membarrier, command, 0, 0));
}

int64_t cpu_ns(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

Watch::Watch(Watchdog& watchdog) : watchdog_(watchdog), thread_(pthread_self()) {
  assert(t_watch == nullptr);
  pthread_getcpuclockid(thread_, &clock_);
  t_watch = this;
  watchdog_.add(*this);
}

Watch::~Watch() {
  watchdog_.remove(*this);
  t_watch = nullptr;
}

Watch* Watch::of_thread() {
  return t_watch;
}

void Watch::on_signal(int) {
  const int saved = errno;
  Watch* watch = t_watch;
  if (watch != nullptr) watch->interrupt();
  errno = saved;
}

// In the signal handler.
void Watch::interrupt() {
  const uint64_t sequence = sequence_.load(std::memory_order_acquire);
  if ((sequence & 1) == 0) return;
  Interruptible& target = *target_.load(std::memory_order_relaxed);
  if (interrupt_.load(std::memory_order_acquire) == sequence) {
    target.interrupted.store(true, std::memory_order_relaxed);
    target.arm();
  } else if (slice_.load(std::memory_order_acquire) == sequence) {
    target.slice();
  }
}

Watchdog::Watchdog()
    : slice_ticks_(
          static_cast<uint64_t>(static_cast<double>(kSlice.count()) / nanoseconds_per_tick())) {
  struct sigaction action {};
  action.sa_handler = &Watch::on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(kSignal, &action, nullptr);
  // The watchdog's thread takes no signals: they belong to the threads that handle them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  thread_ = std::thread([this] { loop(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    assert(watches_.empty());
    stopping_ = true;
    asleep_.store(false, std::memory_order_relaxed);
  }
  changed_.notify_one();
  thread_.join();
}

void Watchdog::add(Watch& watch) {
  sigset_t mine;
  sigemptyset(&mine);
  sigaddset(&mine, kSignal);
  pthread_sigmask(SIG_UNBLOCK, &mine, nullptr);
  {
    const std::lock_guard lock(mutex_);
    watches_.push_back(&watch);
    asleep_.store(false, std::memory_order_relaxed);
  }
  changed_.notify_one();
}

void Watchdog::wake() {
  {
    const std::lock_guard lock(mutex_);
    asleep_.store(false, std::memory_order_relaxed);
  }
  changed_.notify_one();
}

void Watchdog::forget_target() {
  if (!kSignals) const std::lock_guard lock(mutex_);
}

void Watchdog::remove(Watch& watch) {
  const std::lock_guard lock(mutex_);
  std::erase(watches_, &watch);
}

bool Watchdog::look_at(Watch& watch) {
  const uint64_t sequence = watch.sequence_.load(std::memory_order_acquire);
  if ((sequence & 1) == 0) return false;
  look_for_slice(watch, sequence);
  const int64_t now = cpu_ns(watch.clock_);
  if (sequence != watch.seen_) {
    // The run began since the last look. Counting from here is generous by one poll at most.
    watch.seen_ = sequence;
    watch.cpu_at_seen_ns_ = now;
    return true;
  }
  const auto budget = static_cast<int64_t>(watch.budget_ns_.load(std::memory_order_relaxed));
  if (now - watch.cpu_at_seen_ns_ >= budget) {
    // Sent again at every poll until the run ends, should one signal have had no effect.
    watch.interrupt_.store(sequence, std::memory_order_release);
    signal(watch);
  }
  return true;
}

// Once is enough: the VM sees to it from there.
void Watchdog::look_for_slice(Watch& watch, uint64_t sequence) {
  const uint64_t from = watch.sliced_from_.load(std::memory_order_relaxed);
  if (from == 0 || watch.slice_.load(std::memory_order_relaxed) == sequence) return;
  const uint64_t now = ticks();
  if (now < from || now - from < slice_ticks_) return;
  watch.slice_.store(sequence, std::memory_order_release);
  signal(watch);
}

void Watchdog::signal(Watch& watch) {
  if (kSignals) {
    pthread_kill(watch.thread_, kSignal);
  } else {
    watch.interrupt();
  }
}

// Since the last time this was asked.
bool Watchdog::anything_ran() {
  bool ran = false;
  for (Watch* watch : watches_) {
    const uint64_t sequence = watch->sequence_.load(std::memory_order_relaxed);
    ran |= std::exchange(watch->last_, sequence) != sequence || (sequence & 1) != 0;
  }
  return ran;
}

void Watchdog::sleep_until_woken(std::unique_lock<std::mutex>& lock) {
  asleep_.store(true, std::memory_order_relaxed);
  // From here on each thread that begins a run either sees `asleep_`, or its run is seen below.
  const bool fenced = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
  const auto woken = [this] { return !asleep_.load(std::memory_order_relaxed); };
  if (!anything_ran()) {
    fenced ? changed_.wait(lock, woken) : (void)changed_.wait_for(lock, kSleepPoll, woken);
  }
  asleep_.store(false, std::memory_order_relaxed);
}

void Watchdog::loop() {
  int quiet = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (watches_.empty()) {
      changed_.wait(lock);
      continue;
    }
    bool busy = false;
    for (Watch* watch : watches_) busy |= look_at(*watch);
    quiet = anything_ran() ? 0 : quiet + 1;
    if (quiet >= kQuietPolls) {
      sleep_until_woken(lock);
      continue;
    }
    // `wait_for` gives the lock away meanwhile, so that threads come and go at any time.
    changed_.wait_for(lock, busy ? kBusyPoll : kIdlePoll);
  }
}

}  // namespace tidegate::script
