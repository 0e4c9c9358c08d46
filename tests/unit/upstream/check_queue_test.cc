// SPDX-License-Identifier: Apache-2.0
// How many health checks are under way at once.
#include "upstream/check_queue.h"

#include <doctest/doctest.h>

#include <deque>
#include <vector>

using namespace tidegate::upstream;

namespace {

struct Rig {
  struct One final : CheckQueue::Check {
    One(std::vector<int>& log, int my_number) : begun(log), number(my_number) {}
    void begin() override { begun.push_back(number); }
    std::vector<int>& begun;
    const int number;
  };

  std::vector<int> begun;
  CheckQueue queue;
  std::deque<One> checks;

  One& add() { return checks.emplace_back(begun, static_cast<int>(checks.size())); }
  void ask(int count) {
    for (int i = 0; i < count; ++i) queue.ask(add());
  }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "O10: of thousands of checks so many are under way, the others in turn") {
  queue.set_most(3);
  ask(5000);
  CHECK(begun == std::vector{0, 1, 2});
  for (int ended = 0; ended < 5000; ++ended) {
    queue.ended(checks[static_cast<size_t>(ended)]);
    CHECK(queue.under_way() <= 3);
  }
  CHECK(begun.size() == 5000);
  CHECK(begun.back() == 4999);
  CHECK(queue.under_way() == 0);
}

TEST_CASE_FIXTURE(Rig, "O10: who waits or is under way is not begun twice") {
  queue.set_most(1);
  ask(2);
  queue.ask(checks[0]);
  queue.ask(checks[1]);
  CHECK(begun == std::vector{0});
  queue.ended(checks[0]);
  CHECK(begun == std::vector{0, 1});
  queue.ended(checks[1]);
  CHECK(begun == std::vector{0, 1});
  queue.ask(checks[0]);
  CHECK(begun == std::vector{0, 1, 0});
}

TEST_CASE_FIXTURE(Rig, "O10: one whose endpoint goes makes room, waiting or under way") {
  queue.set_most(1);
  ask(3);
  queue.ended(checks[1]);
  queue.ended(checks[0]);
  CHECK(begun == std::vector{0, 2});
  CHECK(queue.under_way() == 1);
}

TEST_CASE_FIXTURE(Rig, "O10: while the machine lacks descriptors none begins") {
  queue.set_most(2);
  ask(1);
  queue.pause();
  ask(2);
  queue.ended(checks[0]);
  CHECK(begun == std::vector{0});
  queue.resume();
  CHECK(begun == std::vector{0, 1, 2});
  queue.set_most(3);
  ask(1);
  CHECK(begun == std::vector{0, 1, 2, 3});
}
