// SPDX-License-Identifier: Apache-2.0
// A clock that costs a few nanoseconds, to say how long hooks run.
#pragma once
#include <cstdint>

#include "base/clock.h"
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace tidegate::script {

inline uint64_t ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// Nanoseconds in one tick; measured once, at the first call, which takes a millisecond.
double nanoseconds_per_tick();

/// CPU time of the calling thread so far: a system call.
Duration thread_cpu();

}  // namespace tidegate::script
