// SPDX-License-Identifier: Apache-2.0
// Endpoints that were drained when they left.
#include "upstream/drained_endpoints.h"

#include <doctest/doctest.h>

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

namespace {

struct Rig {
  DrainedEndpoints drained;
  Endpoints present;
  const TimePoint now{1h};

  static ListedEndpoint make(const std::string& address) {
    ListedEndpoint listed{std::make_shared<Endpoint>(), std::make_shared<EndpointSettings>()};
    listed->address = address;
    return listed;
  }
  /// The cluster now has these addresses; those that stay are the same endpoints.
  void become(const std::vector<std::string>& addresses, const std::string& cluster = "app") {
    Endpoints next;
    for (const std::string& address : addresses) {
      const auto* known = find(address);
      next.push_back(known == nullptr ? make(address) : *known);
    }
    drained.update(cluster, present, next, now);
    present = next;
  }
  const ListedEndpoint* find(const std::string& address) const {
    for (const ListedEndpoint& listed : present) {
      if (listed->address == address) return &listed;
    }
    return nullptr;
  }
  bool is_drained(const std::string& address) const { return (*find(address))->draining.load(); }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "O16: a drained endpoint that leaves and comes back is still drained") {
  become({"a:80", "b:80"});
  (*find("a:80"))->set_draining(true, now);
  become({"b:80"});
  become({"b:80", "c:80"});
  become({"a:80", "b:80", "c:80"});
  CHECK(is_drained("a:80"));
  CHECK_FALSE(is_drained("b:80"));
  CHECK_FALSE(is_drained("c:80"));
}

TEST_CASE_FIXTURE(Rig, "O16: one that was enabled before it left comes back enabled") {
  become({"a:80"});
  (*find("a:80"))->set_draining(true, now);
  become({});
  become({"a:80"});
  (*find("a:80"))->set_draining(false, now);
  become({});
  become({"a:80"});
  CHECK_FALSE(is_drained("a:80"));
}

TEST_CASE_FIXTURE(Rig, "O16: the same address as another endpoint is drained too") {
  become({"a:80"});
  (*find("a:80"))->set_draining(true, now);
  const Endpoints other{make("a:80")};  // another name or outbound proxy
  drained.update("app", present, other, now);
  CHECK(other[0]->draining.load());
}

TEST_CASE_FIXTURE(Rig, "O16: clusters do not mix") {
  become({"a:80"});
  (*find("a:80"))->set_draining(true, now);
  become({});
  const Endpoints elsewhere{make("a:80")};
  drained.update("other", {}, elsewhere, now);
  CHECK_FALSE(elsewhere[0]->draining.load());
}

TEST_CASE_FIXTURE(Rig, "O16: a cluster that goes with a reload and comes back keeps them") {
  config::Snapshot with;
  with.clusters.emplace_back().name = "app";
  const config::Snapshot without;
  const EndpointSet first{{make("a:80")}};
  const EndpointSet none;
  const EndpointSet again{{make("a:80")}};
  drained.update(nullptr, nullptr, with, first, now);
  first[0][0]->set_draining(true, now);
  drained.update(&with, &first, without, none, now);
  drained.update(&without, &none, with, again, now);
  CHECK(again[0][0]->draining.load());
}

TEST_CASE_FIXTURE(Rig, "O16: what is remembered is bounded, whatever comes and goes") {
  for (size_t i = 0; i < DrainedEndpoints::kMost + 100; ++i) {
    const std::string address = std::to_string(i);
    become({address});
    (*find(address))->set_draining(true, now);
  }
  for (size_t i = 0; i < 3 * DrainedEndpoints::kMost; ++i) {  // the same one all the time
    become({"a:80"});
    (*find("a:80"))->set_draining(i % 2 == 0, now);
    become({});
  }
  CHECK(drained.size() <= DrainedEndpoints::kMost);
  become({"0", "9999"});
  CHECK_FALSE(is_drained("0"));
  CHECK(is_drained("9999"));
}

TEST_CASE_FIXTURE(Rig, "O16: an endpoint that flaps pushes no other out") {
  const auto drain_and_remove = [&](const std::string& address) {
    become({address});
    (*find(address))->set_draining(true, now);
    become({});
  };
  drain_and_remove("kept:80");
  for (size_t i = 0; i < 3 * DrainedEndpoints::kMost; ++i) {
    become({"a:80"});
    (*find("a:80"))->set_draining(i % 2 == 0, now);
    become({});
  }
  become({"kept:80"});
  CHECK(is_drained("kept:80"));
}

TEST_CASE_FIXTURE(Rig, "O16: one that was drained anew counts from then on") {
  const auto leave = [&](const std::string& address, bool drained_then) {
    become({address});
    (*find(address))->set_draining(drained_then, now);
    become({});
  };
  leave("again:80", true);
  leave("again:80", false);
  for (size_t i = 0; i < DrainedEndpoints::kMost - 1; ++i) leave(std::to_string(i), true);
  leave("again:80", true);
  leave("one more:80", true);  // of which the oldest, and only it, is forgotten
  become({"again:80", "0", "1"});
  CHECK(is_drained("again:80"));
  CHECK_FALSE(is_drained("0"));
  CHECK(is_drained("1"));
}
