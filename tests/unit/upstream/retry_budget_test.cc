// SPDX-License-Identifier: Apache-2.0
#include "upstream/retry_budget.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

namespace {

const TimePoint kStart{1h};

unsigned taken(RetryBudget& budget, double share, TimePoint now, unsigned attempts) {
  unsigned count = 0;
  for (unsigned i = 0; i < attempts; ++i) count += budget.take(share, now) ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("retries are a share of the requests and no more") {
  RetryBudget budget;
  CHECK_FALSE(budget.take(0.2, kStart));
  for (int i = 0; i < 1000; ++i) budget.note_request(kStart);
  CHECK(taken(budget, 0.2, kStart, 1000) == 200);
}

TEST_CASE("what was refused takes nothing") {
  RetryBudget budget;
  CHECK(taken(budget, 0.2, kStart, 100) == 0);
  for (int i = 0; i < 10; ++i) budget.note_request(kStart);
  CHECK(taken(budget, 0.2, kStart, 10) == 2);
}

TEST_CASE("what was allowed and is not made is given back") {
  RetryBudget budget;
  for (int i = 0; i < 10; ++i) budget.note_request(kStart);
  REQUIRE(taken(budget, 0.2, kStart, 10) == 2);
  budget.give_back(kStart);
  CHECK(taken(budget, 0.2, kStart, 10) == 1);
}

TEST_CASE("retries allowed for other reasons use the share up") {
  RetryBudget budget;
  for (int i = 0; i < 10; ++i) budget.note_request(kStart);
  budget.note_retry(kStart);
  CHECK(taken(budget, 0.2, kStart, 10) == 1);
}

TEST_CASE("requests and retries count for two seconds") {
  RetryBudget budget;
  for (int i = 0; i < 100; ++i) budget.note_request(kStart);
  CHECK(taken(budget, 0.2, kStart, 100) == 20);
  CHECK(taken(budget, 0.2, kStart + 1800ms, 100) == 0);
  CHECK(taken(budget, 0.2, kStart + 2s, 100) == 0);
  for (int i = 0; i < 50; ++i) budget.note_request(kStart + 2s);
  CHECK(taken(budget, 0.2, kStart + 2s, 100) == 10);
  CHECK(taken(budget, 0.2, kStart + 1h, 100) == 0);
}

TEST_CASE("over any time retries stay within their share, however requests come and go") {
  RetryBudget budget;
  TimePoint now = kStart;
  unsigned requests = 0;
  unsigned retries = 0;
  for (unsigned i = 0; i < 20'000; ++i) {
    now += (i / 1000) % 3 == 0 ? 5ms : 100us;
    budget.note_request(now);
    ++requests;
    retries += taken(budget, 0.2, now, 3);
  }
  CHECK(retries <= requests / 5);
  CHECK(retries > requests / 6);
}

TEST_CASE("workers count together") {
  constexpr unsigned kThreads = 4;
  constexpr unsigned kEach = 20'000;
  RetryBudget budget;
  std::atomic<unsigned> retries{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (unsigned n = 0; n < kEach; ++n) {
        budget.note_request(kStart);
        if (budget.take(0.2, kStart)) ++retries;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(retries <= kThreads * kEach / 5);
  CHECK(retries > kThreads * kEach / 6);
}
