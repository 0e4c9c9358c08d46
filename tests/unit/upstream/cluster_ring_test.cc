// SPDX-License-Identifier: Apache-2.0
// Rings that workers share.
#include "upstream/cluster_ring.h"

#include <doctest/doctest.h>

#include "upstream/balancer.h"

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

namespace {

Endpoints make_all(int count) {
  Endpoints all;
  for (int i = 0; i < count; ++i) {
    ListedEndpoint& listed =
        all.emplace_back(std::make_shared<Endpoint>(), std::make_shared<EndpointSettings>());
    listed->address = "10.0.0." + std::to_string(i) + ":80";
  }
  return all;
}

struct Rig {
  config::Snapshot config;
  EndpointSet set;

  Rig() {
    for (const char* balancer : {"consistent_hash", "round_robin", "consistent_hash"}) {
      config::Cluster& cluster = config.clusters.emplace_back();
      cluster.name = "c" + std::to_string(config.clusters.size());
      cluster.balancer = balancer;
      set.push_back(make_all(5));
    }
  }
  ClusterRings first() const { return make_rings(config, set, nullptr, nullptr, nullptr); }
};

struct Key final : HashKeySource {
  std::string text;
  std::string_view hash_key(const config::HashOn&) const override { return text; }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "O20: a ring is made where the balancer wants one, and kept while it fits") {
  const ClusterRings rings = first();
  CHECK(rings[0] != nullptr);
  CHECK(rings[1] == nullptr);
  EndpointSet changed = set;
  changed[2].pop_back();
  const ClusterRings next = make_rings(config, changed, &config, &set, &rings);
  CHECK(next[0] == rings[0]);
  CHECK(next[2] != rings[2]);
  CHECK(next[2]->size() < rings[2]->size());
}

TEST_CASE_FIXTURE(Rig, "O20: another weight is another ring, another order of clusters is not") {
  const ClusterRings rings = first();
  EndpointSet heavier = set;
  heavier[0][0].settings = std::make_shared<EndpointSettings>(EndpointSettings{9, {}});
  CHECK(make_rings(config, heavier, &config, &set, &rings)[0] != rings[0]);
  config::Snapshot turned = config;
  std::swap(turned.clusters[0], turned.clusters[2]);
  const EndpointSet turned_set{set[2], set[1], set[0]};
  const ClusterRings next = make_rings(turned, turned_set, &config, &set, &rings);
  CHECK(next[0] == rings[2]);
  CHECK(next[2] == rings[0]);
}

TEST_CASE_FIXTURE(Rig, "O20: a balancer picks by the ring it is given as by its own") {
  const ClusterRings rings = first();
  std::vector<Candidate> all;
  for (const ListedEndpoint& listed : set[0]) {
    all.push_back({listed.endpoint.get(), listed.settings.get()});
  }
  const auto make = find_balancer("consistent_hash");
  const auto own = make({all, config.clusters[0], 1});
  const auto shared = make({all, config.clusters[0], 2, rings[0]});
  Key key;
  const PickContext context{{}, TimePoint{1h}, &key};
  for (int i = 0; i < 1000; ++i) {
    key.text = "key " + std::to_string(i);
    CHECK(own->pick(context) == shared->pick(context));
  }
}
