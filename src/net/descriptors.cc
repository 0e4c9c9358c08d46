// SPDX-License-Identifier: Apache-2.0
#include "net/descriptors.h"

#include <algorithm>
#include <atomic>
#include <limits>

namespace tidegate::net::descriptors {
namespace {

constexpr int kNone = std::numeric_limits<int>::max();

std::atomic<int> g_first_reserved{kNone};
std::atomic<int> g_first_last{kNone};

}  // namespace

void reserve(int limit) {
  // Few are needed at once, however large the limit; of a tiny one, most must stay in use.
  const int kept = std::min(std::clamp(limit / 16, 8, 64), limit / 8);
  g_first_reserved = limit - kept;
  g_first_last = limit - kept / 2;
}

int most_connections() {
  return g_first_reserved;
}

bool is_reserved(int fd) {
  return fd >= g_first_reserved.load(std::memory_order_relaxed);
}

bool is_last(int fd) {
  return fd >= g_first_last.load(std::memory_order_relaxed);
}

}  // namespace tidegate::net::descriptors
