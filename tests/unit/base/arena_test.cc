// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace tidegate {

TEST_CASE("what an arena gives is aligned and does not overlap") {
  ArenaBlocks blocks;
  Arena arena(blocks);
  char* last_end = nullptr;
  for (size_t align : {1u, 2u, 8u, 16u, 64u, 1u, 32u}) {
    auto* at = static_cast<char*>(arena.allocate(24, align));
    CHECK(reinterpret_cast<uintptr_t>(at) % align == 0);
    if (last_end != nullptr) CHECK(at >= last_end);
    std::memset(at, 'x', 24);
    last_end = at + 24;
  }
}

TEST_CASE("texts in an arena stay while it fills block after block") {
  ArenaBlocks blocks;
  Arena arena(blocks);
  std::vector<std::string_view> copies;
  for (int i = 0; i < 2000; ++i) copies.push_back(arena.copy("text number " + std::to_string(i)));
  for (int i = 0; i < 2000; ++i) {
    CHECK(copies[static_cast<size_t>(i)] == "text number " + std::to_string(i));
  }
}

TEST_CASE("an allocation larger than a block works, and the block in use goes on") {
  ArenaBlocks blocks;
  Arena arena(blocks);
  char* before = arena.chars(10);
  const std::string large(3 * ArenaBlocks::kBlockSize, 'L');
  const std::string_view copy = arena.copy(large);
  char* after = arena.chars(10);
  CHECK(copy == large);
  CHECK(after == before + 10);
  auto* aligned = static_cast<char*>(arena.allocate(2 * ArenaBlocks::kBlockSize, 4096));
  CHECK(reinterpret_cast<uintptr_t>(aligned) % 4096 == 0);
  std::memset(aligned, 'x', 2 * ArenaBlocks::kBlockSize);
}

TEST_CASE("join makes one text of its parts") {
  ArenaBlocks blocks;
  Arena arena(blocks);
  CHECK(arena.join("a", "bc", "def") == "abcdef");
  CHECK(arena.join("", "b") == "b");
  CHECK(arena.join("", "", "").empty());
  CHECK(arena.copy("").empty());
}

TEST_CASE("a cleared arena's block is used again by the next") {
  ArenaBlocks blocks;
  void* first;
  {
    Arena arena(blocks);
    first = arena.allocate(8);
  }
  Arena arena(blocks);
  CHECK(arena.allocate(8) == first);
  arena.clear();
  CHECK(arena.allocate(8) == first);
}

TEST_CASE("an arena makes objects") {
  struct Point {
    int x;
    double y;
    Point(int x_in, double y_in) : x(x_in), y(y_in) {}
  };
  ArenaBlocks blocks;
  Arena arena(blocks);
  arena.chars(1);
  const auto* point = arena.make<Point>(3, 0.5);
  CHECK(reinterpret_cast<uintptr_t>(point) % alignof(Point) == 0);
  CHECK(point->x == 3);
  CHECK(point->y == 0.5);
}

}  // namespace tidegate
