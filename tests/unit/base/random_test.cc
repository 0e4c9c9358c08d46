// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace tidegate {

using std::chrono::seconds;

TEST_CASE("jitter reaches from the shortest to the longest, and no further") {
  CHECK(jittered(seconds(10), 0.2, 0.2, 0) == seconds(8));
  CHECK(jittered(seconds(10), 0.2, 0.2, 0.5) == seconds(10));
  CHECK(jittered(seconds(10), 0.2, 0.2, 1) == seconds(12));
  CHECK(jittered(seconds(10), 0, 0.1, 0) == seconds(10));
  CHECK(jittered(seconds(10), 0, 0.1, 1) == seconds(11));
  CHECK(jittered(seconds(10), 0, 0, 0.7) == seconds(10));
}

TEST_CASE("what began together goes on spread over all of it") {
  Random random(1);
  Duration first = seconds(100), last{};
  Duration sum{};
  for (int i = 0; i < 1000; ++i) {
    const Duration after = jittered(seconds(10), 0.1, 0.1, random.unit());
    first = std::min(first, after);
    last = std::max(last, after);
    sum += after;
  }
  CHECK(first < std::chrono::milliseconds(9100));
  CHECK(last > std::chrono::milliseconds(10900));
  CHECK(sum / 1000 > std::chrono::milliseconds(9900));
  CHECK(sum / 1000 < std::chrono::milliseconds(10100));
}

}  // namespace tidegate
