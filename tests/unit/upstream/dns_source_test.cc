// SPDX-License-Identifier: Apache-2.0
// Endpoints of a name that has addresses of both families.
#include "upstream/dns_source.h"

#include <doctest/doctest.h>

using namespace tidegate;
using namespace tidegate::upstream;

namespace {

std::vector<EndpointSpec> specs_of(std::vector<const char*> addresses,
                                   const std::string& host = "users.test", uint16_t port = 80) {
  config::Dns dns;
  dns.name = host;
  std::vector<EndpointSpec> specs;
  for (const char* address : addresses) {
    specs.push_back(
        endpoint_at(dns, *IpAddress::parse(address), {.target = {}, .port = port, .weight = 1}));
  }
  return specs;
}

std::vector<std::string> texts(const std::vector<EndpointSpec>& specs) {
  std::vector<std::string> all;
  for (const EndpointSpec& spec : specs) {
    std::string text;
    for (const auto& one : spec.resolved) text += (text.empty() ? "" : " ") + one.to_string();
    if (spec.fallback) text += " " + spec.fallback->to_string();
    all.push_back(text);
  }
  return all;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("C7: each endpoint falls back to an address of the other family") {
  auto specs = specs_of({"10.0.0.1", "fd00::1"});
  join_families(specs, false);
  CHECK(texts(specs) == Texts{"10.0.0.1:80 [fd00::1]:80", "[fd00::1]:80 10.0.0.1:80"});
  specs = specs_of({"10.0.0.1", "10.0.0.2"});
  join_families(specs, false);
  CHECK(texts(specs) == Texts{"10.0.0.1:80", "10.0.0.2:80"});
}

TEST_CASE("C7: prefer_v4 leaves IPv6 out where there is IPv4") {
  auto specs = specs_of({"10.0.0.1", "fd00::1"});
  join_families(specs, true);
  CHECK(texts(specs) == Texts{"10.0.0.1:80 [fd00::1]:80"});
  specs = specs_of({"fd00::1", "fd00::2"});
  join_families(specs, true);
  CHECK(texts(specs) == Texts{"[fd00::1]:80", "[fd00::2]:80"});
}

TEST_CASE("C7: another host or port of a service is no fall-back") {
  for (auto other :
       {specs_of({"fd00::1"}, "other.test"), specs_of({"fd00::1"}, "users.test", 81)}) {
    auto specs = specs_of({"10.0.0.1"});
    specs.push_back(other.front());
    join_families(specs, true);
    CHECK(specs.size() == 2);
    CHECK_FALSE(specs[0].fallback);
    CHECK_FALSE(specs[1].fallback);
  }
}

TEST_CASE("C7: a change of one address moves only who fell back to it") {
  const std::vector<const char*> own{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"};
  auto before = specs_of(own);
  auto after = specs_of(own);
  for (const char* one : {"fd00::1", "fd00::2", "fd00::3"}) before.push_back(specs_of({one})[0]);
  for (const char* one : {"fd00::1", "fd00::3"}) after.push_back(specs_of({one})[0]);
  join_families(before, false);
  join_families(after, false);
  for (size_t i = 0; i < own.size(); ++i) {
    const std::string fallback = before[i].fallback->to_string();
    CAPTURE(fallback);
    if (fallback != "[fd00::2]:80") CHECK(after[i].fallback->to_string() == fallback);
  }
}

TEST_CASE(
    "C7: an address of one family that comes or goes leaves those of the other what they are") {
  const auto endpoints_of = [](std::vector<const char*> addresses, const Endpoints* before) {
    auto specs = specs_of(std::move(addresses));
    join_families(specs, true);
    return make_endpoints(std::move(specs), before);
  };
  const auto alone = endpoints_of({"10.0.0.1", "10.0.0.2"}, nullptr);
  CHECK_FALSE(alone[0]->fallback.get());
  const auto joined = endpoints_of({"10.0.0.1", "10.0.0.2", "fd00::1"}, &alone);
  CHECK(joined == alone);
  CHECK(alone[0]->fallback.get()->to_string() == "[fd00::1]:80");
  const auto other = endpoints_of({"10.0.0.1", "10.0.0.2", "fd00::2"}, &joined);
  CHECK(other == alone);
  CHECK(alone[1]->fallback.get()->to_string() == "[fd00::2]:80");
  CHECK(endpoints_of({"10.0.0.1", "10.0.0.2"}, &other) == alone);
  CHECK_FALSE(alone[0]->fallback.get());
}
