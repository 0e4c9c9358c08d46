// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tidegate::upstream {

/// Stable over processes and versions, so that all instances of the proxy send a key to the same
/// endpoint.
uint64_t stable_hash(std::string_view text);

/// Points on a circle of hashes, each belonging to a member. A ring was chosen over Maglev's table
/// because a member that goes or comes moves its own keys and no others; buckets by the hash's
/// first bits make a lookup as cheap as the table's: on the average it looks at one point.
class HashRing {
 public:
  /// For each unit of weight; with mean weights above 2, half of it, a quarter … so that a member
  /// has up to 256 on the average. So a member's points are its own affair, whatever comes and
  /// goes, but for the rare change that takes the mean over a power of two.
  static constexpr uint32_t kPointsPerUnit = 128;

  struct Member {
    std::string_view name;
    uint32_t weight;  // its share of the points; 0: none
  };

  explicit HashRing(std::span<const Member> members);

  bool empty() const { return points_.empty(); }
  size_t size() const { return points_.size(); }
  /// Position of the first point at or behind `hash`. REQUIRES: not empty.
  size_t find(uint64_t hash) const;
  size_t next(size_t position) const { return position + 1 == points_.size() ? 0 : position + 1; }
  uint32_t member(size_t position) const { return points_[position].member; }

 private:
  struct Point {
    uint32_t hash;
    uint32_t member;
  };
  void sort_into_buckets(std::vector<Point> points);

  std::vector<Point> points_;      // by hash, ties by member
  std::vector<uint32_t> buckets_;  // by a hash's first bits: position of its first point
  unsigned shift_ = 0;             // 32 minus the number of those bits
};

}  // namespace tidegate::upstream
