// SPDX-License-Identifier: Apache-2.0
#include "server/memory_guard.h"

#include <malloc.h>

#include "telemetry/log.h"
#include "telemetry/process_metrics.h"

namespace tidegate::server {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr unsigned kChecksPerTrim = 10;

/// On from `from` percent of `max`, off again 5 below.
bool beyond(uint64_t value, uint64_t max, unsigned from, bool now) {
  const uint64_t percent = now ? from - 5 : from;
  return value / 100 * 100 >= max / 100 * percent;
}

}  // namespace

MemoryGuard::MemoryGuard(net::EventLoop& loop, proxy::Overload& overload)
    : loop_(loop),
      overload_(overload),
      timer_([](void* self) { static_cast<MemoryGuard*>(self)->check(); }, this) {}

void MemoryGuard::limit(uint64_t max_memory) {
  max_ = max_memory;
  if (max_ > 0) return check();
  timer_.disarm();
  overload_.refuse_connections = overload_.refuse_requests = false;
}

void MemoryGuard::check() {
  uint64_t resident = telemetry::resident_bytes();
  // Once a second at most, since it holds up who allocates meanwhile.
  if (beyond(resident, max_, 85, false) && checks_++ % kChecksPerTrim == 0) {
    ::malloc_trim(0);
    resident = telemetry::resident_bytes();
  }
  judge(resident);
  loop_.timers().arm(timer_, kInterval);
}

void MemoryGuard::judge(uint64_t resident) {
  const bool before = overload_.refuse_connections;
  const bool connections = beyond(resident, max_, 90, before);
  const bool requests = beyond(resident, max_, 100, overload_.refuse_requests);
  overload_.refuse_connections = connections;
  overload_.refuse_requests = requests;
  if (connections == before) return;
  if (connections) {
    log::warn("out of memory: new connections are refused",
              {{"resident_bytes", resident}, {"max_memory", max_}});
  } else {
    log::info("memory is free again: new connections are taken",
              {{"resident_bytes", resident}, {"max_memory", max_}});
  }
}

}  // namespace tidegate::server
