// SPDX-License-Identifier: Apache-2.0
// What a pick costs, among ten endpoints and among a thousand, all up and with half of them down;
// and what it costs to make the list of candidates anew.
#include <benchmark/benchmark.h>

#include <string>

#include "upstream/balancer.h"

namespace tidegate {
namespace {

struct Keys final : upstream::HashKeySource {
  std::string_view hash_key(const config::HashOn&) const override { return key; }
  std::string key = "customer-0";
};

class Cluster {
 public:
  Cluster(const char* balancer, int64_t count, bool weighted = false) {
    config_.balancer = balancer;
    std::vector<upstream::Candidate> all;
    for (int64_t i = 0; i < count; ++i) {
      auto& endpoint = endpoints_.emplace_back(std::make_unique<upstream::Endpoint>());
      endpoint->address = "10.0.0.1:" + std::to_string(i);
      endpoint->resolved.emplace_back();  // which is never connected to
      auto& settings = settings_.emplace_back(std::make_unique<upstream::EndpointSettings>());
      if (weighted) settings->weight = static_cast<uint32_t>(1 + i % 3);
      endpoint->active = static_cast<uint32_t>(i % 7);
      endpoint->peak_latency.note(std::chrono::milliseconds(1 + i % 5), now_);
      all.push_back({endpoint.get(), settings.get()});
    }
    balancer_ = upstream::find_balancer(balancer)({all, config_, 1});
  }

  int pick() {
    now_ += std::chrono::microseconds(10);
    ++keys_.key.back();
    return balancer_->pick({{}, now_, &keys_});
  }
  void halve() {
    for (size_t i = 0; i < endpoints_.size(); i += 2) endpoints_[i]->set_healthy(false, now_);
  }

 private:
  config::Cluster config_;
  std::vector<std::unique_ptr<upstream::Endpoint>> endpoints_;
  std::vector<std::unique_ptr<upstream::EndpointSettings>> settings_;
  std::unique_ptr<upstream::Balancer> balancer_;
  Keys keys_;
  TimePoint now_{std::chrono::hours(1)};
};

void run(benchmark::State& state, Cluster& cluster) {
  bool found = true;
  for (auto _ : state) {
    const int index = cluster.pick();
    benchmark::DoNotOptimize(index);
    found = found && index >= 0;
  }
  if (!found) state.SkipWithError("no endpoint");
}

void pick(benchmark::State& state, const char* balancer) {
  Cluster cluster(balancer, state.range(0));
  run(state, cluster);
}

void pick_by_weight(benchmark::State& state, const char* balancer) {
  Cluster cluster(balancer, state.range(0), true);
  run(state, cluster);
}

void pick_of_half(benchmark::State& state, const char* balancer) {
  Cluster cluster(balancer, state.range(0));
  cluster.halve();
  run(state, cluster);
}

void list_anew(benchmark::State& state, const char* balancer) {
  Cluster cluster(balancer, state.range(0));
  for (auto _ : state) {
    upstream::Endpoint::note_change();
    benchmark::DoNotOptimize(cluster.pick());
  }
}

void build(benchmark::State& state, const char* balancer) {
  for (auto _ : state) {
    Cluster cluster(balancer, state.range(0));
    benchmark::DoNotOptimize(cluster.pick());
  }
}

#define EACH(function)                                                         \
  BENCHMARK_CAPTURE(function, round_robin, "round_robin")->Arg(10)->Arg(1000); \
  BENCHMARK_CAPTURE(function, weighted, "weighted")->Arg(10)->Arg(1000);       \
  BENCHMARK_CAPTURE(function, random, "random")->Arg(10)->Arg(1000);           \
  BENCHMARK_CAPTURE(function, least, "least_connections")->Arg(10)->Arg(1000); \
  BENCHMARK_CAPTURE(function, p2c, "p2c")->Arg(10)->Arg(1000);                 \
  BENCHMARK_CAPTURE(function, ewma, "ewma")->Arg(10)->Arg(1000);               \
  BENCHMARK_CAPTURE(function, hash, "consistent_hash")->Arg(10)->Arg(1000)

EACH(pick);
EACH(pick_by_weight);
EACH(pick_of_half);
BENCHMARK_CAPTURE(list_anew, weighted, "weighted")->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(list_anew, hash, "consistent_hash")->Arg(10)->Arg(1000);
BENCHMARK_CAPTURE(build, hash, "consistent_hash")->Arg(10)->Arg(1000);

}  // namespace
}  // namespace tidegate
