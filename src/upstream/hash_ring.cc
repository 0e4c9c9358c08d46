// SPDX-License-Identifier: Apache-2.0
#include "upstream/hash_ring.h"

#include <algorithm>
#include <bit>

#include "base/random.h"

namespace tidegate::upstream {

uint64_t stable_hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a, whose high bits alone would be weak
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return mix64(hash);
}

HashRing::HashRing(std::span<const Member> members) {
  uint64_t sum = 0;
  uint64_t weighty = 0;
  for (const Member& member : members) {
    sum += member.weight;
    weighty += member.weight > 0 ? 1 : 0;
  }
  uint64_t units = 1;  // of weight, to kPointsPerUnit points
  while (sum > 2 * units * weighty) units *= 2;
  std::vector<Point> points;
  for (uint32_t i = 0; i < members.size(); ++i) {
    if (members[i].weight == 0) continue;
    const uint64_t count =
        std::max<uint64_t>(members[i].weight * uint64_t{kPointsPerUnit} / units, 1);
    Random hashes(stable_hash(members[i].name));
    for (uint64_t n = 0; n < count; ++n)
      points.push_back({static_cast<uint32_t>(hashes.next()), i});
  }
  if (!points.empty()) sort_into_buckets(std::move(points));
}

// A counting sort by bucket, then within each, which holds one point or two.
void HashRing::sort_into_buckets(std::vector<Point> points) {
  const unsigned bits = std::max(1U, static_cast<unsigned>(std::bit_width(points.size() - 1)));
  shift_ = 32 - bits;
  buckets_.assign((size_t{1} << bits) + 1, 0);
  for (const Point& point : points) ++buckets_[(point.hash >> shift_) + 1];
  for (size_t i = 1; i < buckets_.size(); ++i) buckets_[i] += buckets_[i - 1];
  std::vector<uint32_t> next(buckets_.begin(), buckets_.end() - 1);
  points_.resize(points.size());
  for (const Point& point : points) points_[next[point.hash >> shift_]++] = point;
  const auto order = [](const Point& a, const Point& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.member < b.member;
  };
  for (size_t i = 0; i + 1 < buckets_.size(); ++i) {
    if (buckets_[i + 1] - buckets_[i] < 2) continue;
    std::sort(points_.begin() + buckets_[i], points_.begin() + buckets_[i + 1], order);
  }
}

size_t HashRing::find(uint64_t hash) const {
  const auto place = static_cast<uint32_t>(hash >> 32);
  size_t at = buckets_[place >> shift_];
  while (at < points_.size() && points_[at].hash < place) ++at;
  return at == points_.size() ? 0 : at;
}

}  // namespace tidegate::upstream
