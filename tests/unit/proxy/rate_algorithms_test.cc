// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <deque>
#include <random>
#include <vector>

#include "proxy/sliding_window.h"
#include "proxy/token_bucket.h"

using namespace tidegate;
using namespace tidegate::proxy;
using namespace std::chrono_literals;

namespace {

/// One key of a limit, in virtual time.
template <class Algorithm>
struct Rig {
  Algorithm algorithm;
  std::vector<uint64_t> words = std::vector<uint64_t>(algorithm.words());
  Duration now{};
  Duration retry_after{};

  bool take(uint64_t cost = 1) { return algorithm.take(words.data(), now, cost, retry_after); }
  uint64_t take_all() {
    uint64_t count = 0;
    while (take()) ++count;
    return count;
  }
  uint64_t remaining() { return algorithm.remaining(words.data(), now); }
};

using Bucket = Rig<TokenBucket>;
using Window = Rig<SlidingWindow>;

/// The times of what passed when requests come at random, on average `pressure` times the limit.
template <class Algorithm>
std::vector<Duration> passed_under_load(Rig<Algorithm>& rig, Duration mean, size_t requests) {
  std::mt19937 random(7);
  std::exponential_distribution<double> gap(1.0);
  std::vector<Duration> passed;
  for (size_t i = 0; i < requests; ++i) {
    rig.now += Duration(static_cast<int64_t>(gap(random) * static_cast<double>(mean.count())));
    if (rig.take()) passed.push_back(rig.now);
  }
  return passed;
}

/// The most that passed in any stretch shorter than `period`.
size_t most_within(const std::vector<Duration>& times, Duration period) {
  size_t most = 0;
  for (size_t begin = 0, end = 0; end < times.size(); ++end) {
    while (times[end] - times[begin] >= period) ++begin;
    most = std::max(most, end - begin + 1);
  }
  return most;
}

}  // namespace

TEST_CASE("a bucket gives its burst at once and then one per interval") {
  Bucket rig{TokenBucket(10, 1min, 3)};
  CHECK(rig.take_all() == 3);
  CHECK(rig.retry_after == 6s);
  rig.now = 6s - 1ns;
  CHECK_FALSE(rig.take());
  CHECK(rig.retry_after == 1ns);
  rig.now = 6s;
  CHECK(rig.take());
  CHECK_FALSE(rig.take());
}

TEST_CASE("a bucket never holds more than its burst") {
  Bucket rig{TokenBucket(1000, 1s, 20)};
  rig.now = 1h;
  CHECK(rig.remaining() == 20);
  CHECK(rig.take_all() == 20);
  CHECK(rig.remaining() == 0);
}

TEST_CASE("a cost is taken whole or not at all") {
  Bucket bucket{TokenBucket(10, 1s, 10)};
  CHECK(bucket.take(7));
  CHECK_FALSE(bucket.take(4));
  CHECK(bucket.retry_after == 100ms);
  CHECK(bucket.take(3));

  Window window{SlidingWindow(10, 1s)};
  CHECK(window.take(7));
  CHECK_FALSE(window.take(4));
  CHECK(window.remaining() == 3);
  CHECK(window.take(3));
  CHECK_FALSE(window.take(10));
  window.now = 1100ms;
  CHECK(window.take(10));
}

TEST_CASE("a bucket keeps high rates true to a part in a thousand") {
  Bucket rig{TokenBucket(7'000'000, 1s, 100)};
  uint64_t passed = 0;
  for (rig.now = 0ns; rig.now < 10ms; rig.now += 1us) passed += rig.take_all();
  CHECK(passed > 69'900);
  CHECK(passed < 70'200);
}

TEST_CASE("a window lets its limit pass once in any period") {
  Window rig{SlidingWindow(10, 1min)};
  CHECK(rig.take_all() == 10);
  CHECK(rig.retry_after > 59s);
  CHECK(rig.retry_after < 60s + 10ms);
  rig.now += rig.retry_after - 1ns;
  CHECK_FALSE(rig.take());
  rig.now += 1ns;
  CHECK(rig.take_all() == 10);
}

TEST_CASE("what passed late in a window still counts early in the next") {
  Window rig{SlidingWindow(10, 1s)};
  rig.now = 900ms;
  CHECK(rig.take_all() == 10);
  rig.now = 1100ms;
  CHECK_FALSE(rig.take());
  CHECK(rig.remaining() == 0);
}

TEST_CASE("a window of one lets one pass a period, for ever") {
  Window rig{SlidingWindow(1, 1s)};
  for (int i = 0; i < 100'000; ++i) {
    REQUIRE(rig.take());
    REQUIRE_FALSE(rig.take());
    rig.now += 1001ms;
  }
}

TEST_CASE("no stretch as long as the period sees more than the limit") {
  for (const uint64_t limit : {1, 2, 7, 128, 129, 1000, 50'000}) {
    CAPTURE(limit);
    Window rig{SlidingWindow(limit, 1s)};
    const auto passed =
        passed_under_load(rig, Duration(1s) / static_cast<int64_t>(limit * 2), limit * 30);
    CHECK(most_within(passed, 1s) <= limit);
  }
}

TEST_CASE("under pressure a window stays within one percent of its limit") {
  for (const uint64_t limit : {100, 1000, 20'000}) {
    CAPTURE(limit);
    Window rig{SlidingWindow(limit, 1s)};
    const auto passed =
        passed_under_load(rig, Duration(1s) / static_cast<int64_t>(limit * 2), limit * 40);
    const double seconds = std::chrono::duration<double>(rig.now).count();
    const double rate = static_cast<double>(passed.size()) / seconds / static_cast<double>(limit);
    // The first window's worth came at once, so a run of 20 s holds up to one more.
    CHECK(rate > 0.99);
    CHECK(rate < 1.06);
  }
}

TEST_CASE("a window up to 128 agrees with a log of every request") {
  for (const uint64_t limit : {1, 3, 50, 128}) {
    CAPTURE(limit);
    Window rig{SlidingWindow(limit, 16384us)};  // so that a tick is a microsecond
    std::deque<Duration> log;
    std::mt19937 random(3);
    for (int i = 0; i < 50'000; ++i) {
      rig.now += std::chrono::microseconds(random() % (2 * 16384 / limit + 1));
      while (!log.empty() && rig.now - log.front() > 16384us) log.pop_front();
      const bool expected = log.size() < limit;
      REQUIRE(rig.remaining() == limit - log.size());
      REQUIRE(rig.take() == expected);
      if (expected) log.push_back(rig.now);
    }
  }
}

TEST_CASE("retry_after is when the next one passes, not sooner") {
  Window rig{SlidingWindow(1000, 1s)};
  std::mt19937 random(5);
  for (int i = 0; i < 20'000; ++i) {
    rig.now += std::chrono::microseconds(random() % 1500);
    if (rig.take()) continue;
    const Duration before = rig.now;
    const Duration wait = rig.retry_after;
    rig.now = before + wait - 1ns;
    REQUIRE_FALSE(rig.take());
    rig.now = before + wait;
    REQUIRE(rig.take());
  }
}

TEST_CASE("state expires when it says nothing any more") {
  Window window{SlidingWindow(10, 1s)};
  CHECK(window.algorithm.expired(window.words.data(), 0ns));
  CHECK(window.take());
  CHECK_FALSE(window.algorithm.expired(window.words.data(), 999ms));
  CHECK(window.algorithm.expired(window.words.data(), 1001ms));

  Bucket bucket{TokenBucket(10, 1s, 10)};
  CHECK(bucket.algorithm.expired(bucket.words.data(), 0ns));
  CHECK(bucket.take(2));
  CHECK_FALSE(bucket.algorithm.expired(bucket.words.data(), 199ms));
  CHECK(bucket.algorithm.expired(bucket.words.data(), 200ms));
}
