// SPDX-License-Identifier: Apache-2.0
#include "upstream/adaptive_limit.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <queue>
#include <random>

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

namespace {

/// An origin that works on `servers` requests at once, each for `work`; more of them queue.
struct Origin {
  uint64_t servers;
  Duration work;
  Duration latency(uint64_t under_way) const {
    return work * static_cast<int64_t>(std::max(under_way, servers)) /
           static_cast<int64_t>(servers);
  }
};

/// Windows in which clients would have `demand` under way at all times.
void run(AdaptiveController& controller, const Origin& origin, uint64_t demand, int windows) {
  for (int i = 0; i < windows; ++i) {
    const uint64_t under_way = std::min(demand, controller.limit());
    controller.update(origin.latency(under_way), under_way, 100);
  }
}

}  // namespace

TEST_CASE("the limit grows to what the origin takes and queues little beyond it") {
  AdaptiveController controller({});
  const Origin origin{100, 10ms};
  run(controller, origin, 10'000, 100);
  CHECK(controller.limit() >= 100);
  CHECK(controller.limit() <= 200);
}

TEST_CASE("the limit shrinks when the origin loses capacity, and grows back") {
  AdaptiveController controller({});
  run(controller, {200, 10ms}, 10'000, 100);
  const uint64_t before = controller.limit();
  run(controller, {40, 10ms}, 10'000, 50);
  const uint64_t small = controller.limit();
  CHECK(small >= 40);
  CHECK(small <= 90);
  run(controller, {200, 10ms}, 10'000, 100);
  CHECK(controller.limit() >= before * 9 / 10);
}

TEST_CASE("years of overload do not move the baseline") {
  AdaptiveController controller({});
  run(controller, {100, 10ms}, 10'000, 100);
  const Duration before = controller.baseline();
  run(controller, {100, 10ms}, 10'000, 100'000);
  CHECK(controller.baseline() == before);
  CHECK(controller.limit() <= 200);
}

TEST_CASE("an origin that has become slower without a queue is found out") {
  AdaptiveController controller({});
  run(controller, {100, 10ms}, 10'000, 100);
  // Each request now takes five times as long, and as many run at once as before.
  run(controller, {100, 50ms}, 10'000, 200);
  CHECK(controller.baseline() > 45ms);
  CHECK(controller.limit() >= 100);
  CHECK(controller.limit() <= 200);
}

TEST_CASE("a limit that is not used does not grow") {
  AdaptiveController controller({});
  run(controller, {1000, 10ms}, 4, 1000);
  CHECK(controller.limit() <= 20);
}

TEST_CASE("the limit stays within min and max") {
  AdaptiveController controller({.min = 5, .max = 50});
  run(controller, {10'000, 10ms}, 10'000, 100);
  CHECK(controller.limit() == 50);
  run(controller, {1, 1s}, 10'000, 3);
  CHECK(controller.limit() >= 5);
}

TEST_CASE("too few samples say nothing") {
  AdaptiveController controller({});
  const uint64_t before = controller.limit();
  controller.update(1ms, 20, 9);
  CHECK(controller.limit() == before);
}

TEST_CASE("samples of a window make its median") {
  AdaptiveLimit limit({.min = 10, .max = 1000, .tolerance = 0.5, .window = 1s});
  TimePoint now{1h};
  limit.sample(10ms, 20, now);
  for (int window = 0; window < 60; ++window) {
    for (int i = 0; i < 101; ++i) {
      now += 10ms;
      // A third is slow, which the median does not see.
      limit.sample(i % 3 == 0 ? 5s : 10ms, limit.limit(), now);
    }
  }
  CHECK(limit.limit() == 1000);
  // Later, at the minimum, that is what the origin takes, and the limit grows again.
  for (int window = 0; window < 8; ++window) {
    for (int i = 0; i < 101; ++i) {
      now += 10ms;
      limit.sample(i % 3 == 0 ? 10ms : 5s, limit.limit(), now);
    }
  }
  CHECK(limit.limit() < 100);
}

namespace {

/// An origin that takes anything, at a latency of its own; clients that come at a steady rate.
struct Traffic {
  AdaptiveLimit limit{{}};
  std::minstd_rand random{7};
  TimePoint now{1h};
  uint64_t came = 0;
  uint64_t refused = 0;
  std::priority_queue<std::pair<TimePoint, Duration>, std::vector<std::pair<TimePoint, Duration>>,
                      std::greater<>>
      under_way;

  template <class Latency>
  void run(Duration length, Duration between, Latency latency) {
    for (const TimePoint end = now + length; now < end; now += between) {
      while (!under_way.empty() && under_way.top().first <= now) {
        const auto [at, took] = under_way.top();
        limit.sample(took, under_way.size(), at);
        under_way.pop();
      }
      ++came;
      if (under_way.size() >= limit.limit()) {
        ++refused;
        continue;
      }
      const Duration took = latency();
      under_way.emplace(now + took, took);
    }
  }
  Duration between(Duration least, Duration most) {
    return Duration(std::uniform_int_distribution<int64_t>(least.count(), most.count())(random));
  }
};

}  // namespace

TEST_CASE("O12: an origin that takes seconds for each request is not refused requests for that") {
  for (const auto& [least, most] : {std::pair<Duration, Duration>{3s, 5s}, {1s, 2s}, {10s, 12s}}) {
    CAPTURE(least / 1s);
    Traffic traffic;
    traffic.run(60s, 25ms, [&] { return traffic.between(least, most); });
    CHECK(traffic.refused < traffic.came * 2 / 3);
    traffic.refused = traffic.came = 0;
    traffic.run(60s, 25ms, [&] { return traffic.between(least, most); });
    CHECK(traffic.came == 2400);
    CHECK(traffic.refused == 0);
  }
}

TEST_CASE("O12: a few slow responses in each window add up") {
  AdaptiveLimit limit({.min = 5, .max = 1000, .tolerance = 0.5, .window = 1s});
  const uint64_t before = limit.limit();
  TimePoint now{1h};
  for (int i = 0; i < 9; ++i) limit.sample(4s, before, now += 2s);
  CHECK(limit.limit() == before);
  for (int i = 0; i < 3; ++i) limit.sample(4s, before, now += 2s);
  CHECK(limit.limit() > before);
}

TEST_CASE("O12: what is hardly used says nothing against the limit") {
  AdaptiveController controller({});
  run(controller, {1000, 10ms}, 10'000, 30);
  const uint64_t before = controller.limit();
  // A night with a few slow requests, then the crowd again.
  for (int i = 0; i < 1000; ++i) controller.update(5s, 3, 20);
  CHECK(controller.limit() == before);
}
