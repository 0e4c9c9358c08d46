// SPDX-License-Identifier: Apache-2.0
// The breaker's state machine, in virtual time.
#include "upstream/breaker.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace tidegate;
using namespace std::chrono_literals;
using upstream::Breaker;
using upstream::Outcome;
using State = Breaker::State;
using Change = Breaker::Change;

namespace {

struct Rig {
  config::Breaker settings;
  Breaker breaker;
  TimePoint now{1h};

  Rig() {
    settings.max_failures = 3;
    settings.recovery_timeout = 10s;
    settings.max_recovery_timeout = 60s;
  }
  /// One attempt; what a cluster that can spare the endpoint does with it.
  Change attempt(bool failed) {
    const auto ticket = breaker.admit(now);
    REQUIRE(ticket.has_value());
    const Change change = breaker.settle(*ticket, failed, now, settings);
    if (change == Change::Wanted) CHECK(breaker.trip(now, settings));
    return change;
  }
  void open_it() {
    while (breaker.state() == State::Closed) attempt(true);
  }
};

}  // namespace

TEST_CASE("what speaks against an endpoint is what its side did") {
  const config::Breaker settings;
  for (const ErrorCode code :
       {ErrorCode::ConnectFailed, ErrorCode::ConnectTimeout, ErrorCode::OriginReset,
        ErrorCode::OriginClosed, ErrorCode::BadResponse, ErrorCode::ResponseTimeout}) {
    CHECK(upstream::is_failure({0, code}, settings));
  }
  for (const ErrorCode code :
       {ErrorCode::ClientClosed, ErrorCode::PoolOverflow, ErrorCode::ScriptCpu,
        ErrorCode::StreamRefused, ErrorCode::UpgradeUnsupported, ErrorCode::None}) {
    CHECK_FALSE(upstream::is_failure({0, code}, settings));
  }
  for (const uint16_t status : {502, 503, 504}) CHECK(upstream::is_failure({status}, settings));
  for (const uint16_t status : {101, 200, 404, 429, 500, 501, 505}) {
    CHECK_FALSE(upstream::is_failure({status}, settings));
  }
}

TEST_CASE_FIXTURE(Rig, "failures in a row open it, a success between them starts the count anew") {
  CHECK(attempt(true) == Change::None);
  CHECK(attempt(true) == Change::None);
  CHECK(breaker.failures() == 2);
  attempt(false);
  CHECK(breaker.failures() == 0);
  attempt(true);
  attempt(true);
  CHECK(breaker.state() == State::Closed);
  CHECK(attempt(true) == Change::Wanted);
  CHECK(breaker.state() == State::Open);
  CHECK(breaker.opened() == 1);
  CHECK_FALSE(breaker.allows(now));
  CHECK_FALSE(breaker.admit(now).has_value());
}

TEST_CASE_FIXTURE(Rig, "one that the cluster cannot spare stays closed, and asks again") {
  for (int i = 0; i < 2; ++i) attempt(true);
  for (int i = 0; i < 5; ++i) {
    const auto ticket = breaker.admit(now);
    CHECK(breaker.settle(*ticket, true, now, settings) == Change::Wanted);
    CHECK(breaker.state() == State::Closed);
  }
}

TEST_CASE_FIXTURE(Rig, "after recovery_timeout one trial is let through, and closes it") {
  open_it();
  now += 10s - 1ns;
  CHECK_FALSE(breaker.allows(now));
  now += 1ns;
  CHECK(breaker.allows(now));
  const auto trial = breaker.admit(now);
  REQUIRE(trial.has_value());
  CHECK(breaker.state() == State::HalfOpen);
  CHECK_FALSE(breaker.allows(now));
  CHECK_FALSE(breaker.admit(now).has_value());
  CHECK(breaker.settle(*trial, false, now, settings) == Change::Closed);
  CHECK(breaker.state() == State::Closed);
  CHECK(breaker.failures() == 0);
  CHECK(breaker.allows(now));
}

TEST_CASE_FIXTURE(Rig, "it stays open twice as long each time a trial fails, up to the cap") {
  open_it();
  for (const Duration expected : {10s, 20s, 40s, 60s, 60s}) {
    CHECK(breaker.open_until() - now == expected);
    now += expected;
    CHECK(attempt(true) == Change::Reopened);
  }
  CHECK(breaker.opened() == 6);
}

TEST_CASE_FIXTURE(
    Rig, "one that opens soon after it closed stays open longer; after a while it is forgiven") {
  open_it();
  now += 10s;
  CHECK(attempt(false) == Change::Closed);
  now += 5s;
  open_it();
  CHECK(breaker.open_until() - now == 20s);
  now += 20s;
  CHECK(attempt(false) == Change::Closed);
  now += 40s;
  open_it();
  CHECK(breaker.open_until() - now == 10s);
}

TEST_CASE_FIXTURE(Rig, "several trials: as many at once, and all of them must succeed") {
  settings.half_open_requests = 3;
  open_it();
  now += 10s;
  std::vector<Breaker::Ticket> trials;
  while (const auto ticket = breaker.admit(now)) trials.push_back(*ticket);
  CHECK(trials.size() == 3);
  CHECK(breaker.settle(trials[0], false, now, settings) == Change::None);
  CHECK_FALSE(breaker.admit(now).has_value());
  CHECK(breaker.settle(trials[1], false, now, settings) == Change::None);
  SUBCASE("they do") {
    CHECK(breaker.settle(trials[2], false, now, settings) == Change::Closed);
    CHECK(breaker.state() == State::Closed);
  }
  SUBCASE("one does not") {
    CHECK(breaker.settle(trials[2], true, now, settings) == Change::Reopened);
    CHECK(breaker.state() == State::Open);
  }
}

TEST_CASE_FIXTURE(Rig, "a trial that is cancelled gives its place to another") {
  open_it();
  now += 10s;
  const auto trial = breaker.admit(now);
  CHECK_FALSE(breaker.allows(now));
  breaker.cancel(*trial);
  CHECK(breaker.state() == State::HalfOpen);
  CHECK(breaker.allows(now));
  CHECK(attempt(false) == Change::Closed);
}

TEST_CASE_FIXTURE(Rig, "what began before it opened has no say afterwards") {
  const auto early = breaker.admit(now);
  const auto other = breaker.admit(now);
  open_it();
  CHECK(breaker.settle(*early, false, now, settings) == Change::None);
  CHECK(breaker.state() == State::Open);
  now += 10s;
  const auto trial = breaker.admit(now);
  breaker.cancel(*early);
  CHECK_FALSE(breaker.allows(now));
  breaker.settle(*trial, false, now, settings);
  CHECK(breaker.settle(*other, true, now, settings) == Change::None);
  CHECK(breaker.failures() == 0);
}

TEST_CASE_FIXTURE(Rig, "the share of failures opens it once there are enough requests") {
  settings.max_failures = 0;
  settings.failure_rate = 0.5;
  settings.window = 10s;
  settings.min_requests = 20;
  for (int i = 0; i < 19; ++i) CHECK(attempt(i % 2 == 0) == Change::None);
  CHECK(attempt(true) == Change::Wanted);
  CHECK(breaker.state() == State::Open);
}

TEST_CASE_FIXTURE(Rig, "a share below the limit opens nothing, and the window forgets") {
  settings.max_failures = 0;
  settings.failure_rate = 0.5;
  settings.window = 10s;
  settings.min_requests = 20;
  for (int i = 0; i < 1000; ++i) {
    CHECK(attempt(i % 3 == 0) == Change::None);
    now += 5ms;
  }
  now += 11s;
  for (int i = 0; i < 19; ++i) CHECK(attempt(true) == Change::None);
  now += 11s;
  for (int i = 0; i < 19; ++i) CHECK(attempt(true) == Change::None);
  CHECK(attempt(true) == Change::Wanted);
}

TEST_CASE_FIXTURE(Rig, "a reset closes it and forgets how often it opened") {
  open_it();
  now += 10s;
  CHECK(attempt(true) == Change::Reopened);
  CHECK(breaker.reset());
  CHECK_FALSE(breaker.reset());
  CHECK(breaker.allows(now));
  open_it();
  CHECK(breaker.open_until() - now == 10s);
}

TEST_CASE_FIXTURE(Rig, "the last failure is told as a status or an error") {
  CHECK_FALSE(breaker.last_failure().has_value());
  breaker.note_last_failure({503}, now);
  CHECK(breaker.last_failure()->to_string() == "503");
  breaker.note_last_failure({0, ErrorCode::ConnectFailed}, now);
  CHECK(breaker.last_failure()->to_string() == "connect_failed");
  CHECK(breaker.last_failure_at() == now);
}

TEST_CASE_FIXTURE(Rig, "many threads: opens once at a time, and never more trials than allowed") {
  settings.half_open_requests = 2;
  settings.recovery_timeout = 1ns;
  settings.max_recovery_timeout = 1ns;
  std::atomic<int> under_way{0};
  std::atomic<int> most{0};
  const auto work = [&](unsigned seed) {
    for (int i = 0; i < 20'000; ++i) {
      const auto ticket = breaker.admit(now + Duration(i));
      if (!ticket) continue;
      if (ticket->trial) {
        const int now_under_way = ++under_way;
        int before = most.load();
        while (before < now_under_way && !most.compare_exchange_weak(before, now_under_way)) {
        }
        --under_way;
      }
      seed = seed * 1664525 + 1013904223;
      if (seed >> 30 == 0) {
        breaker.cancel(*ticket);
      } else if (breaker.settle(*ticket, seed >> 30 == 1, now + Duration(i), settings) ==
                 Change::Wanted) {
        breaker.trip(now + Duration(i), settings);
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  CHECK(most <= 2);
  CHECK(breaker.opened() > 0);
  // Whatever they left, it works on.
  now += 1s;
  breaker.reset();
  CHECK(attempt(false) == Change::None);
}

TEST_CASE_FIXTURE(Rig,
                  "O28: a trial that hangs keeps others from starting for trial_timeout only") {
  settings.trial_timeout = 5s;
  for (const uint32_t at_once : {1U, 3U}) {
    CAPTURE(at_once);
    settings.half_open_requests = at_once;
    open_it();
    now += 10min;
    std::vector<Breaker::Ticket> hanging;
    while (const auto ticket = breaker.admit(now)) hanging.push_back(*ticket);
    CHECK(hanging.size() == at_once);
    now += 5s - 1ns;
    CHECK_FALSE(breaker.allows(now));
    CHECK(breaker.trials_until() == now + 1ns);
    now += 1ns;
    CHECK(breaker.allows(now));
    std::vector<Breaker::Ticket> next;
    while (const auto ticket = breaker.admit(now)) next.push_back(*ticket);
    CHECK(next.size() == at_once);
    for (size_t i = 0; i < next.size(); ++i) {
      const bool last = i + 1 == next.size();
      CHECK(breaker.settle(next[i], false, now, settings) ==
            (last ? Change::Closed : Change::None));
    }
    for (const Breaker::Ticket& late : hanging) {
      CHECK(breaker.settle(late, true, now, settings) == Change::None);
    }
    CHECK(breaker.state() == State::Closed);
    breaker.reset();
  }
}

TEST_CASE_FIXTURE(Rig, "O28: a trial that took too long still says how it went") {
  settings.trial_timeout = 1s;
  open_it();
  now += 10s;
  const auto slow = breaker.admit(now);
  now += 1s;
  const auto second = breaker.admit(now);
  REQUIRE(second.has_value());
  SUBCASE("an origin that is slow, but answers") {
    CHECK(breaker.settle(*slow, false, now, settings) == Change::Closed);
    CHECK(breaker.settle(*second, true, now, settings) == Change::None);
  }
  SUBCASE("an origin that does not") {
    CHECK(breaker.settle(*slow, true, now, settings) == Change::Reopened);
    CHECK_FALSE(breaker.allows(now));
  }
}

TEST_CASE_FIXTURE(Rig, "O28: one that ends late gives back no place of those after it") {
  settings.trial_timeout = 1s;
  settings.half_open_requests = 2;
  open_it();
  now += 10s;
  const auto first = breaker.admit(now);
  CHECK(breaker.admit(now).has_value());
  now += 1s;
  CHECK(breaker.admit(now).has_value());
  const auto fourth = breaker.admit(now);
  REQUIRE(fourth.has_value());
  breaker.cancel(*first);
  CHECK_FALSE(breaker.allows(now));
  breaker.cancel(*fourth);
  CHECK(breaker.allows(now));
}
