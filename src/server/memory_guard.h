// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "base/timers.h"
#include "net/event_loop.h"
#include "proxy/overload.h"

namespace tidegate::server {

/// Watches the process's resident memory against `max_memory`, in the control thread: from 90 % on,
/// new connections are refused; from 100 % on, new requests too. Both end 5 % lower, so that it
/// does not flap. Before it refuses, it gives back to the system what the allocator holds unused.
class MemoryGuard {
 public:
  MemoryGuard(net::EventLoop& loop, proxy::Overload& overload);

  /// 0: off.
  void limit(uint64_t max_memory);

 private:
  void check();
  void judge(uint64_t resident);

  net::EventLoop& loop_;
  proxy::Overload& overload_;
  Timer timer_;
  uint64_t max_ = 0;
  unsigned checks_ = 0;  // that found much memory in use
};

}  // namespace tidegate::server
