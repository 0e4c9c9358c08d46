// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

struct event;

namespace tidegate::net {

class EventLoop;

/// Calls back in the loop's thread when the process gets a signal. One loop of the process only can
/// watch signals.
class SignalWatch {
 public:
  SignalWatch(EventLoop& loop, int signal, std::function<void()> on_signal);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  EventLoop& loop_;
  std::function<void()> on_signal_;
  event* event_;
};

}  // namespace tidegate::net
