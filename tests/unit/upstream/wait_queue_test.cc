// SPDX-License-Identifier: Apache-2.0
#include "upstream/wait_queue.h"

#include <doctest/doctest.h>

#include <deque>
#include <string>

using tidegate::ListNode;
using tidegate::upstream::WaitQueue;

namespace {

struct Waiter : ListNode<Waiter> {
  Waiter(uint8_t of_line, char letter) : line(of_line), name(letter) {}
  uint8_t line;
  char name;
};

}  // namespace

TEST_CASE("lines are served in turn, each in its own order") {
  std::deque<Waiter> waiters;
  WaitQueue<Waiter> queue;
  for (const char name : {'a', 'b', 'c', 'd'}) queue.push_back(waiters.emplace_back(uint8_t{5}, name));
  queue.push_back(waiters.emplace_back(uint8_t{70}, 'x'));  // line 6
  queue.push_back(waiters.emplace_back(uint8_t{63}, 'y'));
  queue.push_back(waiters.emplace_back(uint8_t{63}, 'z'));
  std::string order;
  for (int i = 0; i < 7; ++i) order += queue.pop_front().name;
  CHECK(order == "axybzcd");
}

TEST_CASE("a client that comes late waits for one of each other client at most") {
  std::deque<Waiter> waiters;
  WaitQueue<Waiter> queue;
  for (int i = 0; i < 1000; ++i) queue.push_back(waiters.emplace_back(uint8_t{1}, 'm'));
  queue.pop_front();
  queue.push_back(waiters.emplace_back(uint8_t{2}, 'n'));
  CHECK(queue.pop_front().name == 'n');
}

TEST_CASE("those who left are passed over") {
  Waiter a(1, 'a');
  Waiter b(2, 'b');
  Waiter c(3, 'c');
  WaitQueue<Waiter> queue;
  queue.push_back(a);
  queue.push_back(b);
  queue.push_back(c);
  a.unlink();
  b.unlink();
  CHECK(queue.pop_front().name == 'c');
  queue.push_back(b);
  CHECK(queue.pop_front().name == 'b');
}
