// SPDX-License-Identifier: Apache-2.0
#include "upstream/endpoint_set.h"

#include <doctest/doctest.h>

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

namespace {

EndpointSpec spec(const std::string& host, std::vector<const char*> addresses) {
  EndpointSpec made;
  made.config.scheme = "http";
  made.config.address = {host, 80, false};
  made.config.url = "http://" + host + ":80";
  for (const char* address : addresses) {
    made.resolved.push_back(net::SocketAddress::from_ip(*IpAddress::parse(address), 80));
  }
  return made;
}

}  // namespace

TEST_CASE("an endpoint whose weight or tags change stays itself") {
  const Endpoints before =
      make_endpoints({spec("a.test", {"10.0.0.1"}), spec("b.test", {"10.0.0.2"})}, nullptr);
  before[0]->set_draining(true, TimePoint{1h});
  before[0]->active = 7;
  EndpointSpec heavier = spec("a.test", {"10.0.0.1"});
  heavier.config.weight = 5;
  EndpointSpec tagged = spec("b.test", {"10.0.0.2"});
  tagged.config.tags = {{"zone", "eu"}};
  const Endpoints after = make_endpoints({heavier, tagged}, &before);
  CHECK(after[0].endpoint == before[0].endpoint);
  CHECK(after[0]->draining);
  CHECK(after[0]->active == 7);
  CHECK(after[0].settings->weight == 5);
  CHECK(after[1].endpoint == before[1].endpoint);
  CHECK(after[1].settings->tags.at("zone") == "eu");
  // Those that use the former list go on with what it said.
  CHECK(before[0].settings->weight == 1);
  CHECK(before[1].settings->tags.empty());
  CHECK(after != before);
}

TEST_CASE("the order of its addresses makes no other endpoint, another address does") {
  const Endpoints before =
      make_endpoints({spec("a.test", {"10.0.0.1", "10.0.0.2", "10.0.0.3"})}, nullptr);
  const Endpoints turned =
      make_endpoints({spec("a.test", {"10.0.0.3", "10.0.0.1", "10.0.0.2"})}, &before);
  CHECK(turned == before);
  for (auto addresses :
       {std::vector{"10.0.0.1", "10.0.0.2", "10.0.0.4"}, std::vector{"10.0.0.1", "10.0.0.2"},
        std::vector{"10.0.0.1", "10.0.0.1", "10.0.0.2"}}) {
    CHECK(make_endpoints({spec("a.test", addresses)}, &before) != before);
  }
}

TEST_CASE("whose certificate must be for another name is another endpoint") {
  EndpointSpec named = spec("a.test", {"10.0.0.1"});
  named.certified_name = "one.test";
  const Endpoints before = make_endpoints({named}, nullptr);
  CHECK(make_endpoints({named}, &before) == before);
  named.certified_name = "two.test";
  CHECK(make_endpoints({named}, &before) != before);
}

TEST_CASE("the slow start of those that come begins, of those whose weight changes it does not") {
  const Endpoints before = make_endpoints({spec("a.test", {"10.0.0.1"})}, nullptr);
  EndpointSpec heavier = spec("a.test", {"10.0.0.1"});
  heavier.config.weight = 2;
  const Endpoints after = make_endpoints({heavier, spec("b.test", {"10.0.0.2"})}, &before);
  warm_up(after, before, TimePoint{1h});
  CHECK(after[0]->warm_since_ns == 0);
  CHECK(after[1]->warm_since_ns > 0);
}
