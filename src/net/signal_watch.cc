// SPDX-License-Identifier: Apache-2.0
#include "net/signal_watch.h"

#include <event2/event.h>

#include "net/event_loop.h"

namespace tidegate::net {

SignalWatch::SignalWatch(EventLoop& loop, int signal, std::function<void()> on_signal)
    : loop_(loop), on_signal_(std::move(on_signal)) {
  event_ = evsignal_new(
      loop.base(), signal,
      [](evutil_socket_t, short, void* self) {
        auto* watch = static_cast<SignalWatch*>(self);
        EventLoop& the_loop = watch->loop_;
        watch->on_signal_();
        the_loop.flush_dirty();
      },
      this);
  event_add(event_, nullptr);
}

SignalWatch::~SignalWatch() { event_free(event_); }

}  // namespace tidegate::net
