// SPDX-License-Identifier: Apache-2.0
#include "net/event_loop.h"

#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <stdexcept>

#include "net/tls.h"
#include "net/transport.h"

namespace tidegate::net {
namespace {

event_base* new_base() {
  event_config* config = event_config_new();
  // Each base is used by one thread, so its locks would only cost; epoll's changelist would save
  // nothing, since descriptors are registered once and stay.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_base* base = event_base_new_with_config(config);
  event_config_free(config);
  if (base == nullptr) throw std::runtime_error("libevent gives no event base");
  return base;
}

}  // namespace

EventLoop::EventLoop() : base_(new_base()), read_buffer_(new char[kReadBufferSize]), wake_fd_(-1) {
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) throw std::runtime_error("eventfd: no descriptor left");
  wake_event_ = event_new(
      base_, wake_fd_, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<EventLoop*>(self)->run_posted(); },
      this);
  event_add(wake_event_, nullptr);
  sweep_event_ = event_new(
      base_, -1, 0,
      [](evutil_socket_t, short, void* self) {
        auto* loop = static_cast<EventLoop*>(self);
        loop->sweep_at_ = TimePoint::max();
        // Who is out of time asks whether bytes have gone.
        loop->flush_gathered();
        loop->timers_.sweep();
        loop->flush_dirty();
      },
      this);
}

EventLoop::~EventLoop() {
  destroy_doomed();
  event_free(sweep_event_);
  event_free(wake_event_);
  ::close(wake_fd_);
  event_base_free(base_);
}

void EventLoop::run() {
  while (running_) turn();
}

void EventLoop::turn() {
  ++turns_;
  if (!works_.empty()) do_turn_work();
  schedule_sweep();
  gathers_ = gathers_again();
  // Always once: without that flag libevent goes on for as long as some socket is ready, and
  // neither what is due nor what was gathered would have its turn.
  event_base_loop(base_,
                  EVLOOP_ONCE | (reads_due_.empty() && works_.empty() ? 0 : EVLOOP_NONBLOCK));
  read_due();
  flush_gathered();
  gathers_ = false;
  end_turn();
  measure_turn();
}

void EventLoop::next_turn(TurnWork& work) {
  if (std::ranges::find(works_, &work) == works_.end()) works_.push_back(&work);
}

void EventLoop::forget(TurnWork& work) {
  std::replace(works_.begin(), works_.end(), &work, static_cast<TurnWork*>(nullptr));
}

void EventLoop::do_turn_work() {
  // What asks again has its turn in the next.
  std::vector<TurnWork*> works;
  works.swap(works_);
  for (TurnWork* work : works) {
    if (work != nullptr) work->on_turn();
  }
  flush_dirty();
}

// Waiting takes no CPU time, so one reading per turn tells what the turn took.
void EventLoop::measure_turn() {
  if constexpr (kMeasuresTurns) {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    const int64_t now = int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    const int64_t took = turn_began_ns_ == 0 ? 0 : now - turn_began_ns_;
    turn_began_ns_ = now;
    if (took > longest_turn_ns_.load(std::memory_order_relaxed)) longest_turn_ns_.store(took);
  }
}

void EventLoop::schedule_sweep() {
  const auto next = timers_.next_deadline();
  // A sweep that comes too early finds nothing and is scheduled anew; so only an earlier deadline
  // needs a call, and in steady state there is none.
  if (!next || *next >= sweep_at_) return;
  clock_.expire();
  const auto wait = std::max<Duration>(*next - clock_.now(), std::chrono::milliseconds(0));
  const auto us = std::chrono::ceil<std::chrono::microseconds>(wait).count();
  const timeval tv{static_cast<time_t>(us / 1000000), static_cast<suseconds_t>(us % 1000000)};
  event_add(sweep_event_, &tv);
  sweep_at_ = *next;
  clock_.expire();
}

void EventLoop::end_turn() {
  // Their destructors may doom others, for which nothing might wake the loop again.
  while (!doomed_.empty()) {
    std::vector<std::unique_ptr<Deferred>> now;
    now.swap(doomed_);
    now.clear();
    if (doomed_.empty()) doomed_.swap(now);  // keeps the capacity
  }
  clock_.expire();
}

void EventLoop::destroy_doomed() {
  // What waits may refer to other things that wait, so the list may grow while it shrinks.
  end_turn();
}

void EventLoop::post(std::function<void()> task) {
  {
    std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  // A full counter means a wake-up is due anyway.
  [[maybe_unused]] const auto n = ::write(wake_fd_, &one, sizeof one);
}

void EventLoop::run_posted() {
  uint64_t count = 0;
  [[maybe_unused]] const auto n = ::read(wake_fd_, &count, sizeof count);
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
  }
  flush_gathered();  // as for timers
  for (auto& task : tasks) task();
  flush_dirty();
}

void EventLoop::read_due() {
  handshakes_ = 0;
  // What comes to be due meanwhile has its turn after the sockets' next.
  const size_t count = reads_due_.size();
  for (size_t i = 0; i < count; ++i) {
    Transport* transport = std::exchange(reads_due_[i], nullptr);
    if (transport != nullptr) transport->read_kept();
  }
  reads_due_.erase(reads_due_.begin(), reads_due_.begin() + static_cast<std::ptrdiff_t>(count));
  handshakes_ = 0;
}

TlsBuffers& EventLoop::tls_buffers() {
  if (tls_buffers_ == nullptr) tls_buffers_ = std::make_unique<TlsBuffers>();
  return *tls_buffers_;
}

void EventLoop::forget_read(Transport& transport) {
  std::replace(reads_due_.begin(), reads_due_.end(), &transport, static_cast<Transport*>(nullptr));
}

void EventLoop::forget_flush(Transport& transport) {
  std::replace(dirty_.begin(), dirty_.end(), &transport, static_cast<Transport*>(nullptr));
  std::replace(gathered_.begin(), gathered_.end(), &transport, static_cast<Transport*>(nullptr));
}

void EventLoop::flush_dirty() {
  // Flushing may make another transport dirty (a drained client resumes its origin).
  for (size_t i = 0; i < dirty_.size(); ++i) {
    if (dirty_[i] != nullptr) dirty_[i]->end_callback();
  }
  dirty_.clear();
  if (!gathered_.empty() && !gathers()) flush_gathered();
}

bool EventLoop::gathers_again() {
  if (gathers_again_at_ == TimePoint()) return true;
  if (clock_.now() < gathers_again_at_) return false;
  gathers_again_at_ = {};
  return true;
}

void EventLoop::stop_gathering_for(Duration time) {
  gathers_ = false;
  gathers_again_at_ = clock_.now() + time;
}

void EventLoop::flush_gathered() {
  flushing_ = true;  // what is written now need not wait again
  for (size_t i = 0; i < gathered_.size(); ++i) {
    if (gathered_[i] != nullptr) gathered_[i]->flush_gathered();
  }
  gathered_.clear();
  flush_dirty();
  flushing_ = false;
}

}  // namespace tidegate::net
