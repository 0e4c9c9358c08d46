// SPDX-License-Identifier: Apache-2.0
#include "base/output_buffer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>
#include <string>

namespace tidegate {
namespace {

struct BufferFixture {
  OutputBlocks blocks;
  OutputBuffer buffer{blocks};

  std::string waiting() const {
    std::string bytes;
    if (buffer.empty()) return bytes;
    std::array<iovec, OutputBlock::kSegments> parts;
    const size_t count = buffer.gather(parts);
    for (size_t i = 0; i < count; ++i) {
      bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    }
    return bytes;
  }
  size_t segments() const {
    std::array<iovec, OutputBlock::kSegments> parts;
    return buffer.empty() ? 0 : buffer.gather(parts);
  }
};

// Long enough to be borrowed and not copied.
std::string long_text(char c) {
  return std::string(3000, c);
}

}  // namespace

TEST_CASE_FIXTURE(BufferFixture, "an output buffer holds nothing while nothing waits") {
  CHECK(buffer.empty());
  CHECK(buffer.size() == 0);
  buffer.append("");
  buffer.settle();
  buffer.consume(0);
  CHECK(buffer.empty());
  buffer.reserve(100);
  buffer.commit(0);
  CHECK(buffer.empty());
}

TEST_CASE_FIXTURE(BufferFixture, "bytes appended in turn are one segment") {
  buffer.append("abc");
  buffer.append('d');
  std::memcpy(buffer.reserve(10), "efgh", 4);
  buffer.commit(4);
  CHECK(waiting() == "abcdefgh");
  CHECK(buffer.size() == 8);
  CHECK(segments() == 1);
}

TEST_CASE_FIXTURE(BufferFixture, "long bytes are borrowed, short ones copied") {
  const std::string body = long_text('b');
  std::string brief = "brief";
  buffer.append("head ");
  buffer.borrow(brief);
  buffer.borrow(body);
  brief = "XXXXX";
  CHECK(waiting() == "head brief" + body);
  CHECK(segments() == 2);
  std::array<iovec, OutputBlock::kSegments> parts;
  buffer.gather(parts);
  CHECK(parts[1].iov_base == body.data());
}

TEST_CASE_FIXTURE(BufferFixture, "a write may take any part of what waits") {
  const std::string body = long_text('b');
  buffer.append("head");
  buffer.borrow(body);
  buffer.append("tail");
  std::string expected = "head" + body + "tail";
  for (size_t written : {2u, 2u, 1u, 2998u, 2u, 1u}) {
    buffer.consume(written);
    expected.erase(0, written);
    CHECK(waiting() == expected);
    CHECK(buffer.size() == expected.size());
  }
  buffer.consume(2);
  CHECK(buffer.empty());
}

TEST_CASE_FIXTURE(BufferFixture, "settled bytes outlive their owner") {
  std::string body = long_text('b');
  buffer.append("head");
  buffer.borrow(body);
  buffer.append("tail");
  buffer.consume(5);
  const std::string expected = waiting();
  buffer.settle();
  std::fill(body.begin(), body.end(), '?');
  CHECK(waiting() == expected);
  CHECK(buffer.size() == expected.size());
}

TEST_CASE_FIXTURE(BufferFixture, "a connection that never drains fully does not grow without end") {
  const std::string piece(1000, 'p');
  buffer.append(piece);
  for (int i = 0; i < 10000; ++i) {
    buffer.append(piece);
    buffer.consume(piece.size());
    buffer.settle();
  }
  CHECK(waiting() == piece);
  // All that was ever appended would be 10 MB; own memory is seen through the distance of the ends.
  std::array<iovec, OutputBlock::kSegments> parts;
  buffer.gather(parts);
  const char* start = static_cast<const char*>(parts[0].iov_base);
  CHECK(buffer.reserve(1) - start < 64 * 1024);
}

TEST_CASE_FIXTURE(BufferFixture, "more segments than fit are folded in order") {
  std::deque<std::string> bodies;
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    const std::string own(static_cast<size_t>(i % 5 + 1), static_cast<char>('A' + i % 26));
    bodies.push_back(long_text(static_cast<char>('a' + i % 26)));
    buffer.append(own);
    buffer.borrow(bodies.back());
    expected += own + bodies.back();
    CHECK(segments() <= OutputBlock::kSegments);
    CHECK(buffer.size() == expected.size());
  }
  CHECK(waiting() == expected);
  buffer.consume(70001);
  CHECK(waiting() == expected.substr(70001));
}

TEST_CASE_FIXTURE(BufferFixture, "folding while own bytes are committed loses nothing") {
  std::string body = long_text('b');
  std::string expected;
  for (size_t i = 0; i < OutputBlock::kSegments; ++i) {
    buffer.borrow(body);
    expected += body;
  }
  CHECK(segments() == OutputBlock::kSegments);
  buffer.append("own");
  buffer.append(" and more");
  expected += "own and more";
  CHECK(waiting() == expected);
  CHECK(segments() == 1);
}

TEST_CASE_FIXTURE(BufferFixture, "blocks are reused, but not when they have grown large") {
  buffer.append("a");
  std::array<iovec, OutputBlock::kSegments> parts;
  buffer.gather(parts);
  const void* first = parts[0].iov_base;
  buffer.consume(1);
  OutputBuffer other(blocks);
  other.append("b");
  other.gather(parts);
  CHECK(parts[0].iov_base == first);
  other.append(std::string(2 * OutputBlocks::kKeptCapacity, 'x'));
  other.clear();
  CHECK(other.empty());
  OutputBlock* fresh = blocks.take();
  CHECK(fresh->capacity == OutputBlocks::kInitial);
  blocks.give(fresh);
}

TEST_CASE_FIXTURE(BufferFixture, "any order of operations keeps the bytes in order") {
  std::mt19937 random(11);
  std::deque<std::string> owned;
  std::string expected;
  for (int round = 0; round < 20000; ++round) {
    const std::string piece(random() % 4000, static_cast<char>('a' + random() % 26));
    switch (random() % 4) {
      case 0:
        buffer.append(piece.substr(0, piece.size() / 8));
        expected += piece.substr(0, piece.size() / 8);
        break;
      case 1:
        buffer.borrow(owned.emplace_back(piece));
        expected += piece;
        break;
      case 2: {
        const size_t written = std::min<size_t>(buffer.size(), random() % 6000);
        buffer.consume(written);
        expected.erase(0, written);
        break;
      }
      default:
        buffer.settle();
        for (std::string& text : owned) std::fill(text.begin(), text.end(), '?');
        owned.clear();
        break;
    }
    REQUIRE(buffer.size() == expected.size());
    if (round % 16 == 0) REQUIRE(waiting() == expected);
  }
  CHECK(waiting() == expected);
}

}  // namespace tidegate
