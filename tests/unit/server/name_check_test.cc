// SPDX-License-Identifier: Apache-2.0
// What `check` says of names, with a lookup that answers what the test wants.
#include "server/name_check.h"

#include <doctest/doctest.h>

#include <mutex>

using namespace tidegate;
using namespace tidegate::server;
using namespace std::chrono_literals;

namespace {

config::Snapshot snapshot_with(const std::vector<std::string>& hosts) {
  config::Snapshot snapshot;
  config::Cluster& cluster = snapshot.clusters.emplace_back();
  cluster.name = "app";
  for (const std::string& host : hosts) {
    config::Endpoint& endpoint = cluster.endpoints.emplace_back();
    endpoint.scheme = "http";
    endpoint.address = {host, 80, false};
    endpoint.url = "http://" + host + ":80";
  }
  return snapshot;
}

net::NameAnswer answer_for(const std::string& name) {
  if (name.starts_with("good")) return std::vector{*IpAddress::parse("10.0.0.1")};
  return tl::unexpected("cannot resolve " + name + ": no address");
}

}  // namespace

TEST_CASE("O5: check warns of each endpoint whose name does not resolve, and of no other") {
  const auto warnings = doubtful_names(
      snapshot_with({"bad.test", "good.test", "10.0.0.9", "bad.test"}), 10s, answer_for);
  REQUIRE(warnings.size() == 2);
  for (const std::string& warning : warnings) {
    CAPTURE(warning);
    CHECK(warning.find("clusters.app: cannot resolve bad.test") != std::string::npos);
  }
}

TEST_CASE("O5: names that nobody answers for in time are one warning, whatever their number") {
  std::vector<std::string> hosts{"10.0.0.9"};
  for (int i = 0; i < 100; ++i) hosts.push_back("silent" + std::to_string(i) + ".test");
  const auto silent = std::make_shared<std::mutex>();
  const std::lock_guard nobody_answers(*silent);
  const auto warnings =
      doubtful_names(snapshot_with(hosts), 1ms, [silent](const std::string& name) {
        const std::lock_guard lock(*silent);
        return answer_for(name);
      });
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].starts_with("100 of 100 names of endpoints not checked"));
}

TEST_CASE("O5: many names that are answered for are all checked") {
  std::vector<std::string> hosts;
  for (int i = 0; i < 300; ++i) hosts.push_back("good" + std::to_string(i) + ".test");
  hosts.push_back("bad.test");
  CHECK(doubtful_names(snapshot_with(hosts), 10s, answer_for).size() == 1);
}
