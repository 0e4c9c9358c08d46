// SPDX-License-Identifier: Apache-2.0
#include "script/ticks.h"

#include <ctime>

namespace tidegate::script {

double nanoseconds_per_tick() {
#if defined(__x86_64__)
  static const double measured = [] {
    const auto begin = std::chrono::steady_clock::now();
    const uint64_t first = ticks();
    auto end = begin;
    while (end - begin < std::chrono::milliseconds(1)) end = std::chrono::steady_clock::now();
    const auto passed = static_cast<double>(ticks() - first);
    return passed <= 0 ? 1.0 : static_cast<double>(Duration(end - begin).count()) / passed;
  }();
  return measured;
#else
  return 1.0;
#endif
}

Duration thread_cpu() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

}  // namespace tidegate::script
