// SPDX-License-Identifier: Apache-2.0
#include "proxy/named_limit.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace tidegate;
using namespace tidegate::proxy;
using namespace std::chrono_literals;

namespace {

const TimePoint kStart{};

config::Limit settings(uint64_t count, Duration period = 1min) {
  config::Limit limit;
  limit.name = "test";
  limit.rate = {count, period};
  return limit;
}

uint64_t take_all(NamedLimit& limit, const std::string& key, TimePoint now) {
  uint64_t count = 0;
  while (limit.take(key, 1, now, false).allowed) ++count;
  return count;
}

/// `threads` take as fast as they can, for one key at one moment; gives how many got something.
uint64_t race(NamedLimit& limit, unsigned threads, unsigned tries, TimePoint now) {
  std::atomic<uint64_t> allowed{0};
  std::atomic<unsigned> ready{0};
  std::vector<std::thread> team;
  for (unsigned i = 0; i < threads; ++i) {
    team.emplace_back([&] {
      ++ready;
      while (ready < threads) std::this_thread::yield();
      for (unsigned n = 0; n < tries; ++n) {
        if (limit.take("shared", 1, now, false).allowed) ++allowed;
      }
    });
  }
  for (std::thread& thread : team) thread.join();
  return allowed;
}

}  // namespace

TEST_CASE("each key has a count of its own") {
  NamedLimit limit(settings(5), kStart);
  CHECK(take_all(limit, "a", kStart) == 5);
  CHECK(take_all(limit, "b", kStart) == 5);
  CHECK(take_all(limit, "a", kStart) == 0);
  CHECK(take_all(limit, "", kStart) == 5);
}

TEST_CASE("threads together get exactly the limit") {
  for (const auto algorithm :
       {config::LimitAlgorithm::SlidingWindow, config::LimitAlgorithm::TokenBucket}) {
    for (const uint64_t count : {1, 10, 128, 1000}) {
      CAPTURE(count);
      config::Limit wanted = settings(count);
      wanted.algorithm = algorithm;
      NamedLimit limit(wanted, kStart);
      for (int period = 1; period <= 5; ++period) {
        CHECK(race(limit, 4, 1000, kStart + 2min * period) == count);
      }
    }
  }
}

TEST_CASE("asking tells what taking would, and takes nothing") {
  for (const auto algorithm :
       {config::LimitAlgorithm::SlidingWindow, config::LimitAlgorithm::TokenBucket}) {
    config::Limit wanted = settings(300);
    wanted.algorithm = algorithm;
    NamedLimit limit(wanted, kStart);
    for (int step = 1; step <= 3000; ++step) {
      const TimePoint now = kStart + 97ms * step;
      const NamedLimit::Taken asked = limit.ask("a", 1, now);
      CHECK(limit.ask("a", 1, now).allowed == asked.allowed);
      const NamedLimit::Taken taken = limit.take("a", 1, now, false);
      CHECK(taken.allowed == asked.allowed);
      CHECK(taken.retry_after == asked.retry_after);
    }
  }
}

TEST_CASE("threads that ask first get exactly the limit too") {
  for (const auto algorithm :
       {config::LimitAlgorithm::SlidingWindow, config::LimitAlgorithm::TokenBucket}) {
    config::Limit wanted = settings(1000);
    wanted.algorithm = algorithm;
    NamedLimit limit(wanted, kStart);
    std::atomic<int> allowed{0};
    std::vector<std::thread> team;
    for (int i = 0; i < 4; ++i) {
      team.emplace_back([&] {
        for (int n = 0; n < 1000; ++n) {
          if (!limit.ask("shared", 1, kStart + 1s).allowed) continue;
          if (limit.take("shared", 1, kStart + 1s, false).allowed) ++allowed;
        }
      });
    }
    for (std::thread& thread : team) thread.join();
    CHECK(allowed == 1000);
  }
}

TEST_CASE("threads that bring in keys at once get each key's limit exactly") {
  config::Limit wanted = settings(3);
  wanted.max_keys = 64;
  NamedLimit limit(wanted, kStart);
  for (int round = 1; round <= 20; ++round) {
    // All keys of the round before have expired, and are evicted while others come in.
    const TimePoint now = kStart + 2min * round;
    constexpr int kKeys = 16;
    std::vector<std::atomic<int>> allowed(kKeys);
    std::vector<std::thread> team;
    for (int i = 0; i < 4; ++i) {
      team.emplace_back([&, i] {
        for (int n = 0; n < kKeys * 10; ++n) {
          const int key = (n * 7 + i * 5) % kKeys;
          const std::string name = std::to_string(round) + "/" + std::to_string(key);
          if (limit.take(name, 1, now, false).allowed) ++allowed[static_cast<size_t>(key)];
        }
      });
    }
    for (std::thread& thread : team) thread.join();
    for (const auto& count : allowed) CHECK(count == 3);
  }
  CHECK(limit.overflows() == 0);
}

TEST_CASE("a million strangers neither reset a live count nor get more than theirs") {
  config::Limit wanted = settings(10);
  wanted.max_keys = 1000;
  NamedLimit limit(wanted, kStart);
  CHECK(take_all(limit, "victim", kStart) == 10);
  uint64_t allowed = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    allowed += limit.take("stranger " + std::to_string(i), 1, kStart + 1s, false).allowed ? 1 : 0;
  }
  CHECK(take_all(limit, "victim", kStart + 2s) == 0);
  CHECK(limit.overflows() > 900'000);
  // A place for each of 2,048 keys, and 256 shared ones that let 10 pass each.
  CHECK(allowed <= 2048 + 256 * 10);
  CHECK(allowed > 1000);
  // When they have expired there is room again.
  CHECK(take_all(limit, "newcomer", kStart + 3min) == 10);
  CHECK(take_all(limit, "victim", kStart + 3min) == 10);
}

TEST_CASE("a reload keeps the counts of limits that stay as they were") {
  const NamedLimits before = make_limits({settings(5), settings(9)}, nullptr, kStart);
  take_all(*before[0], "a", kStart);
  config::Limit changed = settings(9);
  changed.burst = 2;
  const NamedLimits after = make_limits({settings(5), changed}, &before, kStart);
  CHECK(after[0] == before[0]);
  CHECK(after[1] != before[1]);
  CHECK(take_all(*after[0], "a", kStart) == 0);
}

TEST_CASE("an IPv6 client is its block, an IPv4 client itself") {
  ArenaBlocks blocks;
  Arena arena(blocks);
  const auto key = [&](const char* text, unsigned prefix) {
    return std::string(client_key(*IpAddress::parse(text), text, prefix, arena));
  };
  CHECK(key("192.0.2.7", 64) == "192.0.2.7");
  CHECK(key("2001:db8:1:2:3:4:5:6", 64) == "2001:db8:1:2::");
  CHECK(key("2001:db8:1:2:ffff::1", 64) == "2001:db8:1:2::");
  CHECK(key("2001:db8:1:3::1", 64) != key("2001:db8:1:2::1", 64));
  CHECK(key("2001:db8:1:2::1", 48) == "2001:db8:1::");
  CHECK(key("2001:db8::1", 128) == "2001:db8::1");
}

TEST_CASE("fields name policy and state as the draft has them") {
  ArenaBlocks blocks;
  Arena arena(blocks);
  config::Limit limit = settings(10);
  limit.burst = 5;
  CHECK(policy_field(limit, arena) == "\"test\";q=15;w=60");
  NamedLimit::Taken taken;
  taken.remaining = 7;
  taken.reset = 1100ms;
  CHECK(state_field(limit, taken, arena) == "\"test\";r=7;t=2");
}
