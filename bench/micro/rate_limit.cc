// SPDX-License-Identifier: Apache-2.0
// One take from a named limit: with one key and with many, alone and by several threads.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "proxy/named_limit.h"

using namespace tidegate;

namespace {

const TimePoint kStart{};

proxy::NamedLimit make(config::LimitAlgorithm algorithm, uint64_t count) {
  config::Limit limit;
  limit.name = "bench";
  limit.rate = {count, std::chrono::seconds(1)};
  limit.algorithm = algorithm;
  return {limit, kStart};
}

std::vector<std::string> addresses(size_t count) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; ++i) {
    texts.push_back("10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256));
  }
  return texts;
}

void take(benchmark::State& state, config::LimitAlgorithm algorithm) {
  static proxy::NamedLimit limits[] = {make(config::LimitAlgorithm::SlidingWindow, 1000),
                                       make(config::LimitAlgorithm::TokenBucket, 1000)};
  proxy::NamedLimit& limit = limits[static_cast<size_t>(algorithm)];
  const auto keys = addresses(static_cast<size_t>(state.range(0)));
  TimePoint now = kStart;
  size_t at = 0;
  for (auto _ : state) {
    now += std::chrono::microseconds(1);
    if (++at == keys.size()) at = 0;
    benchmark::DoNotOptimize(limit.take(keys[at], 1, now, false));
  }
}

BENCHMARK_CAPTURE(take, sliding_window, config::LimitAlgorithm::SlidingWindow)
    ->Arg(1)
    ->Arg(10'000)
    ->ThreadRange(1, 2);
BENCHMARK_CAPTURE(take, token_bucket, config::LimitAlgorithm::TokenBucket)
    ->Arg(1)
    ->Arg(10'000)
    ->ThreadRange(1, 2);

}  // namespace
