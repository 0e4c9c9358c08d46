// SPDX-License-Identifier: Apache-2.0
#include "script/ticks.h"

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

}  // namespace tidegate::script
