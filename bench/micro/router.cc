// SPDX-License-Identifier: Apache-2.0
// What choosing a route costs, with ten routes and with ten thousand; and what is done to a head
// before and after.
#include "proxy/router.h"

#include <benchmark/benchmark.h>

#include <string>

#include "base/arena.h"
#include "http/hop_by_hop.h"
#include "http/host.h"
#include "http/path.h"
#include "proxy/forwarding.h"

namespace tidegate {
namespace {

/// Routes for ten hosts and one for any, by prefix and by path.
config::Snapshot snapshot_of(int64_t routes) {
  config::Snapshot snapshot;
  for (int64_t i = 0; i < routes; ++i) {
    config::Route& route = snapshot.routes.emplace_back();
    if (i % 2 == 0) route.match.hosts = {"host" + std::to_string(i % 10) + ".example.com"};
    std::string path = "/service" + std::to_string(i / 10) + "/v1/items";
    (i % 3 == 0 ? route.match.path : route.match.path_prefix) = std::move(path);
  }
  return snapshot;
}

void match_route(benchmark::State& state) {
  const config::Snapshot snapshot = snapshot_of(state.range(0));
  const proxy::Router router(snapshot);
  ArenaBlocks blocks;
  Arena arena(blocks);
  http::RequestHead head(arena);
  head.method = http::Method::Get;
  const std::string service = "/service" + std::to_string(state.range(0) / 20) + "/v1/items";
  const std::string path = service + "/4711/details";
  head.path = path;
  bool found = true;
  for (auto _ : state) {
    const config::Route* route = router.match(head, "host2.example.com", "public");
    benchmark::DoNotOptimize(route);
    found = found && route != nullptr;
  }
  if (!found) state.SkipWithError("no route");
}
BENCHMARK(match_route)->Arg(10)->Arg(100)->Arg(10000);

void normalise_path(benchmark::State& state) {
  ArenaBlocks blocks;
  for (auto _ : state) {
    Arena arena(blocks);
    auto path = http::normalise_path("/service7/v1/items/4711/details", arena);
    benchmark::DoNotOptimize(path);
  }
}
BENCHMARK(normalise_path);

void split_authority(benchmark::State& state) {
  ArenaBlocks blocks;
  for (auto _ : state) {
    Arena arena(blocks);
    auto authority = http::split_authority("host2.example.com:8080", arena);
    benchmark::DoNotOptimize(authority);
  }
}
BENCHMARK(split_authority);

/// A usual browser's fields, from the name on: ids, hop-by-hop, forwarding headers.
void prepare_fields(benchmark::State& state) {
  ArenaBlocks blocks;
  proxy::IdGenerator ids;
  proxy::Peer peer;
  peer.ip = *IpAddress::parse("203.0.113.9");
  peer.ip_text = "203.0.113.9";
  peer.listener_port = 8080;
  for (auto _ : state) {
    Arena arena(blocks);
    http::RequestHead head(arena);
    head.authority = "host2.example.com";
    head.headers.add("host", "host2.example.com");
    head.headers.add("connection", "keep-alive");
    head.headers.add("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");
    head.headers.add("accept", "text/html");
    head.headers.add("accept-language", "en");
    head.headers.add("accept-encoding", "gzip, br");
    head.headers.add("cookie", "session=4711");
    head.headers.add("x-tenant", "acme");
    auto stripped = http::strip_hop_by_hop(head);
    benchmark::DoNotOptimize(stripped);
    auto forwarded = proxy::apply_forwarding(head, peer, ids);
    benchmark::DoNotOptimize(forwarded);
  }
}
BENCHMARK(prepare_fields);

}  // namespace
}  // namespace tidegate
