// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <numeric>

#include "balancer_rig.h"
#include "upstream/hash_ring.h"

using namespace tidegate;
using namespace std::chrono_literals;
using test::BalancerRig;
using test::near;

namespace {

constexpr int kKeys = 20'000;

std::string key(int number) {
  return "customer-" + std::to_string(number);
}

/// Address of the endpoint for each key.
std::vector<std::string> places(BalancerRig& rig) {
  std::vector<std::string> result;
  for (int i = 0; i < kKeys; ++i) {
    result.push_back(rig.endpoints[static_cast<size_t>(rig.pick_for(key(i)))]->address);
  }
  return result;
}

}  // namespace

TEST_CASE("the same key goes to the same endpoint, and keys spread evenly") {
  BalancerRig rig("consistent_hash", 10);
  CHECK(places(rig) == places(rig));
  std::vector<int> counts(10);
  for (int i = 0; i < kKeys; ++i) ++counts[static_cast<size_t>(rig.pick_for(key(i)))];
  for (const int count : counts) CHECK(near(count, kKeys / 10.0, 0.3));
}

TEST_CASE("when an endpoint goes, its keys move and no others") {
  BalancerRig rig("consistent_hash", 10);
  const auto before = places(rig);
  const std::string gone = rig.endpoints[3]->address;
  SUBCASE("down for a while") {
    rig.set_healthy(3, false);
  }
  SUBCASE("out of the cluster") {
    rig.remove(3);
  }
  const auto after = places(rig);
  std::map<std::string, int> heirs;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == gone) {
      ++heirs[after[i]];
    } else {
      CHECK(after[i] == before[i]);
    }
  }
  CHECK(heirs.size() == 9);  // all others share what it leaves
  if (rig.endpoints.size() < 10) return;
  rig.set_healthy(3, true);
  CHECK(places(rig) == before);
}

TEST_CASE("when an endpoint comes, only the keys it gets move") {
  BalancerRig rig("consistent_hash", 10);
  const auto before = places(rig);
  const std::string fresh = rig.add().address;
  const auto after = places(rig);
  int moved = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (after[i] == before[i]) continue;
    CHECK(after[i] == fresh);
    ++moved;
  }
  CHECK(near(moved, kKeys / 11.0, 0.3));
}

TEST_CASE("the order of the endpoints means nothing to the ring") {
  BalancerRig rig("consistent_hash", 10);
  const auto before = places(rig);
  std::reverse(rig.endpoints.begin(), rig.endpoints.end());
  rig.remove(0);
  rig.add();
  rig.endpoints.back()->address = "10.0.0.10:80";
  CHECK(places(rig) == before);
}

TEST_CASE("keys are shared by weight") {
  BalancerRig rig("consistent_hash");
  for (const uint32_t weight : {1U, 2U, 5U}) rig.add(weight);
  std::vector<int> counts(3);
  for (int i = 0; i < kKeys; ++i) ++counts[static_cast<size_t>(rig.pick_for(key(i)))];
  CHECK(near(counts[0], kKeys / 8.0, 0.25));
  CHECK(near(counts[1], kKeys / 4.0, 0.25));
  CHECK(near(counts[2], kKeys * 5 / 8.0, 0.25));
}

TEST_CASE("a request without the key goes to any endpoint") {
  BalancerRig rig("consistent_hash", 4);
  for (const int share : rig.shares(4000)) CHECK(near(share, 1000, 0.15));
}

TEST_CASE("bounded load: one hot key spreads over as many endpoints as it takes") {
  BalancerRig rig("consistent_hash", 10);
  rig.config.hash_load_factor = 1.25;
  rig.key = "the hot one";
  const int home = rig.pick();
  for (int i = 0; i < 1000; ++i) {
    rig.begin();
    rig.now += 1ms;
  }
  for (const auto& endpoint : rig.endpoints) CHECK(endpoint->active <= 126);
  CHECK(rig.endpoints[static_cast<size_t>(home)]->active >= 124);
  for (const auto& endpoint : rig.endpoints) endpoint->active = 0;
  rig.now += 1s;
  CHECK(rig.pick() == home);
}

TEST_CASE("bounded load holds within one turn of the loop too") {
  BalancerRig rig("consistent_hash", 10);
  rig.config.hash_load_factor = 1.5;
  rig.key = "the hot one";
  for (int i = 0; i < 500; ++i) rig.begin();
  for (const auto& endpoint : rig.endpoints) CHECK(endpoint->active <= 76);
}

TEST_CASE("a key whose endpoint has no room stays at one other, whatever load is there") {
  BalancerRig rig("consistent_hash", 3);
  rig.config.hash_load_factor = 1.0;
  rig.key = "some key";
  const auto home = static_cast<size_t>(rig.pick());
  const std::vector<const upstream::Endpoint*> tried{rig.endpoints[home].get()};
  const int next = rig.pick(tried);
  // Only the one that was tried has room.
  for (size_t i = 0; i < 3; ++i) rig.endpoints[i]->active = i == home ? 0 : 50;
  for (int i = 0; i < 50; ++i) {
    rig.now += 1s;
    CHECK(rig.pick(tried) == next);
  }
}

TEST_CASE("of a thousand endpoints the last three share all keys, each at one") {
  BalancerRig rig("consistent_hash", 1000);
  for (size_t i = 0; i < 1000; ++i) rig.set_healthy(i, i % 400 == 0);
  std::map<int, int> counts;
  for (int i = 0; i < 3000; ++i) {
    const int index = rig.pick_for(key(i));
    ++counts[index];
    CHECK(rig.pick_for(key(i)) == index);
  }
  REQUIRE(counts.size() == 3);
  for (const auto& [index, count] : counts) {
    CHECK(index % 400 == 0);
    CHECK(near(count, 1000, 0.4));
  }
}

TEST_CASE("by weight too only the keys of who comes or goes move") {
  BalancerRig rig("consistent_hash");
  for (const uint32_t weight : {1U, 2U, 3U, 4U, 5U, 5U, 4U, 3U, 2U, 1U}) rig.add(weight);
  const auto before = places(rig);
  std::string other;
  SUBCASE("goes") {
    other = rig.endpoints[4]->address;
    rig.remove(4);
  }
  SUBCASE("comes") {
    other = rig.add(7).address;
  }
  const auto after = places(rig);
  int moved = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (after[i] == before[i]) continue;
    const bool its_own = before[i] == other || after[i] == other;
    CHECK(its_own);
    ++moved;
  }
  CHECK(moved > kKeys / 12);
  CHECK(moved < kKeys / 3);
}

TEST_CASE("without the bound a hot key stays where it belongs") {
  BalancerRig rig("consistent_hash", 10);
  rig.key = "the hot one";
  const int home = rig.pick();
  for (int i = 0; i < 1000; ++i) CHECK(rig.begin() == home);
}

TEST_CASE("a ring's points are in order, and every hash finds the first behind it") {
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back("10.0.1." + std::to_string(i));
  std::vector<upstream::HashRing::Member> members;
  for (const std::string& name : names) members.push_back({name, 1});
  const upstream::HashRing ring(members);
  CHECK(ring.size() == 300 * upstream::HashRing::kPointsPerUnit);
  // A step of the hash moves on by no more than a few points, and in the end all the way around.
  size_t at = ring.find(0);
  CHECK(at == 0);
  size_t passed = 0;
  for (uint64_t hash = 0; hash < UINT64_MAX - (1ULL << 48); hash += 1ULL << 48) {
    const size_t found = ring.find(hash);
    if (found == 0 && at != 0) break;
    CHECK(found >= at);
    passed += found - at;
    at = found;
  }
  CHECK(passed == ring.size() - 1);
  CHECK(ring.find(UINT64_MAX) == 0);
}

TEST_CASE("a ring of nothing is empty, and one member has all of it") {
  CHECK(upstream::HashRing({}).empty());
  const std::vector<upstream::HashRing::Member> one{{"a", 1}};
  const upstream::HashRing ring(one);
  for (uint64_t i = 0; i < 100; ++i) CHECK(ring.member(ring.find(i << 57)) == 0);
}
