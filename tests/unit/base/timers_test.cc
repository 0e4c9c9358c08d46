// SPDX-License-Identifier: Apache-2.0
#include "base/timers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tidegate {
namespace {

using namespace std::chrono_literals;

struct TimersFixture {
  Clock clock{TimePoint{} + 1h};
  Timers timers{clock};
  std::string fired;

  void pass(Duration by) {
    clock.advance(by);
    timers.sweep();
  }
};

/// A timer that appends its name to the fixture's text, then does what it is told.
struct NamedTimer {
  NamedTimer(TimersFixture& in, char name_in, std::function<void()> then_in = {})
      : fixture(in), name(name_in), then(std::move(then_in)), timer(&NamedTimer::fire, this) {}

  static void fire(void* owner) {
    auto& self = *static_cast<NamedTimer*>(owner);
    self.fixture.fired += self.name;
    if (self.then) std::function<void()>(self.then)();
  }
  void arm(Duration after) { fixture.timers.arm(timer, after); }

  TimersFixture& fixture;
  char name;
  std::function<void()> then;
  Timer timer;
};

}  // namespace

TEST_CASE_FIXTURE(TimersFixture, "a timer fires once, when it is due") {
  NamedTimer a(*this, 'a');
  a.arm(100ms);
  CHECK(a.timer.armed());
  pass(99ms);
  CHECK(fired == "");
  pass(1ms);
  CHECK(fired == "a");
  CHECK_FALSE(a.timer.armed());
  pass(1h);
  CHECK(fired == "a");
}

TEST_CASE_FIXTURE(TimersFixture, "a disarmed or destroyed timer does not fire") {
  NamedTimer a(*this, 'a');
  auto b = std::make_unique<NamedTimer>(*this, 'b');
  a.arm(10ms);
  b->arm(10ms);
  a.timer.disarm();
  a.timer.disarm();
  b.reset();
  pass(1s);
  CHECK(fired == "");
  CHECK_FALSE(timers.next_deadline().has_value());
}

TEST_CASE_FIXTURE(TimersFixture, "arming again moves the deadline") {
  NamedTimer a(*this, 'a');
  a.arm(10ms);
  pass(9ms);
  a.arm(10ms);
  pass(9ms);
  CHECK(fired == "");
  a.arm(30ms);
  pass(29ms);
  CHECK(fired == "");
  pass(1ms);
  CHECK(fired == "a");
}

TEST_CASE_FIXTURE(TimersFixture, "timers of one duration fire in the order of arming") {
  NamedTimer a(*this, 'a'), b(*this, 'b'), c(*this, 'c');
  c.arm(10ms);
  a.arm(10ms);
  b.arm(10ms);
  c.arm(10ms);
  pass(10ms);
  CHECK(fired == "abc");
}

TEST_CASE_FIXTURE(TimersFixture, "the next deadline is the earliest of all durations") {
  NamedTimer a(*this, 'a'), b(*this, 'b');
  const TimePoint start = clock.now();
  CHECK_FALSE(timers.next_deadline().has_value());
  a.arm(50ms);
  CHECK(timers.next_deadline() == start + 50ms);
  clock.advance(20ms);
  b.arm(10ms);
  CHECK(timers.next_deadline() == start + 30ms);
  pass(10ms);
  CHECK(fired == "b");
  CHECK(timers.next_deadline() == start + 50ms);
}

TEST_CASE_FIXTURE(TimersFixture, "durations are rounded up to whole milliseconds, at least one") {
  NamedTimer a(*this, 'a'), b(*this, 'b');
  const TimePoint start = clock.now();
  a.arm(Duration(0));
  CHECK(timers.next_deadline() == start + 1ms);
  a.arm(1500us);
  CHECK(timers.next_deadline() == start + 2ms);
  b.arm(-5s);
  CHECK(timers.next_deadline() == start + 1ms);
}

TEST_CASE_FIXTURE(TimersFixture, "the longest durations are far ahead, not past") {
  NamedTimer a(*this, 'a');
  for (const Duration longest : {Duration::max(), Duration::max() - 1ns, Duration::max() - 1h}) {
    a.arm(longest);
    CHECK(*timers.next_deadline() > clock.now() + 24h * 365 * 90);
    pass(1h);
    CHECK(fired == "");
  }
}

TEST_CASE_FIXTURE(TimersFixture, "a timer may arm itself anew when it fires") {
  NamedTimer a(*this, 'a');
  a.then = [&] { a.arm(10ms); };
  a.arm(10ms);
  pass(25ms);  // not twice: it counts from now
  CHECK(fired == "a");
  pass(10ms);
  CHECK(fired == "aa");
}

TEST_CASE_FIXTURE(TimersFixture, "a timer may disarm or destroy others that are due, and itself") {
  NamedTimer b(*this, 'b');
  auto c = std::make_unique<NamedTimer>(*this, 'c');
  auto d = std::make_unique<NamedTimer>(*this, 'd');
  NamedTimer a(*this, 'a', [&] {
    b.timer.disarm();
    c.reset();
  });
  d->then = [&] { d.reset(); };
  NamedTimer e(*this, 'e');
  a.arm(10ms);
  b.arm(10ms);
  c->arm(10ms);
  d->arm(10ms);
  e.arm(10ms);
  pass(10ms);
  CHECK(fired == "ade");
}

TEST_CASE_FIXTURE(TimersFixture,
                  "any number of durations may be in use, also new ones while firing") {
  std::vector<std::unique_ptr<NamedTimer>> many;
  for (int i = 1; i <= 100; ++i) {
    many.push_back(std::make_unique<NamedTimer>(*this, 'x'));
    many.back()->arm(std::chrono::milliseconds(i));
  }
  NamedTimer late(*this, 'l');
  NamedTimer first(*this, 'f', [&] { late.arm(1234ms); });
  first.arm(5ms);
  for (int i = 0; i < 100; ++i) pass(1ms);
  CHECK(std::count(fired.begin(), fired.end(), 'x') == 100);
  CHECK(std::count(fired.begin(), fired.end(), 'f') == 1);
  CHECK(late.timer.armed());
  pass(1234ms);
  CHECK(fired.back() == 'l');
}

TEST_CASE_FIXTURE(TimersFixture,
                  "what one sweep leaves behind when lists are dropped comes at the next") {
  // Firing arms ever new durations, so that empty lists are dropped below the running sweep.
  std::vector<std::unique_ptr<NamedTimer>> fresh;
  std::vector<std::unique_ptr<NamedTimer>> due;
  for (int i = 1; i <= 40; ++i) {
    due.push_back(std::make_unique<NamedTimer>(*this, 'x', [&] {
      fresh.push_back(std::make_unique<NamedTimer>(*this, 'y'));
      fresh.back()->arm(std::chrono::seconds(fresh.size() + 1));
    }));
    due.back()->arm(std::chrono::milliseconds(i));
  }
  clock.advance(1s);
  while (timers.next_deadline() && *timers.next_deadline() <= clock.now()) timers.sweep();
  CHECK(std::count(fired.begin(), fired.end(), 'x') == 40);
  CHECK(fresh.size() == 40);
  for (const auto& timer : fresh) CHECK(timer->timer.armed());
}

TEST_CASE("timers may outlive their list") {
  Clock clock{TimePoint{}};
  Timer a([](void*) {}, nullptr);
  Timer b([](void*) {}, nullptr);
  {
    Timers timers(clock);
    timers.arm(a, 1s);
    timers.arm(b, 1s);
  }
  a.disarm();
  CHECK_FALSE(a.armed());
}

TEST_CASE("a clock set by hand moves only when told") {
  Clock clock{TimePoint{} + 5s};
  CHECK(clock.now() == TimePoint{} + 5s);
  clock.expire();
  CHECK(clock.now() == TimePoint{} + 5s);
  clock.advance(1ms);
  CHECK(clock.now() == TimePoint{} + 5s + 1ms);
}

TEST_CASE("a clock reads the time once until it expires") {
  Clock clock;
  const TimePoint first = clock.now();
  while (std::chrono::steady_clock::now() == first) {
  }
  CHECK(clock.now() == first);
  clock.expire();
  CHECK(clock.now() > first);
}

}  // namespace tidegate
