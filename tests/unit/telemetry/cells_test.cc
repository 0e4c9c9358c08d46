// SPDX-License-Identifier: Apache-2.0
#include "telemetry/cells.h"

#include <doctest/doctest.h>

using namespace tidegate;
using namespace tidegate::telemetry;
using namespace std::chrono_literals;

namespace {

size_t bucket_by_search(const Scale& scale, uint64_t value) {
  size_t i = 0;
  while (value > scale.bounds[i]) ++i;
  return i;
}

}  // namespace

TEST_CASE("a value falls into the first bucket whose bound it does not exceed") {
  for (const Scale* scale : {&kSeconds, &kBytes}) {
    for (size_t i = 0; i < scale->count; ++i) {
      const uint64_t bound = scale->bounds[i];
      CHECK(scale->bucket(bound - 1) == bucket_by_search(*scale, bound - 1));
      CHECK(scale->bucket(bound) == i);
      CHECK(scale->bucket(bound + 1) == i + 1);
    }
    for (unsigned bit = 0; bit < 64; ++bit) {
      const uint64_t value = uint64_t{1} << bit;
      CHECK(scale->bucket(value) == bucket_by_search(*scale, value));
      CHECK(scale->bucket(value - 1) == bucket_by_search(*scale, value - 1));
    }
    CHECK(scale->bucket(0) == 0);
    CHECK(scale->bucket(UINT64_MAX) == scale->count);
  }
}

TEST_CASE("no power of two holds more than two bounds, so that the search stays short") {
  for (const Scale* scale : {&kSeconds, &kBytes}) {
    for (size_t width = 1; width < 64; ++width) {
      const uint64_t most = (uint64_t{1} << width) - 1;
      CHECK(scale->bucket(most) - scale->first[width] <= 2);
    }
  }
}

TEST_CASE("a histogram counts and sums durations in nanoseconds") {
  Histogram histogram(kSeconds);
  histogram.observe(Duration(2ms));
  histogram.observe(Duration(2ms));
  histogram.observe(Duration(5min));
  histogram.observe(Duration(-1ms));
  CHECK(histogram.in_bucket(kSeconds.bucket(2'000'000)) == 2);
  CHECK(histogram.in_bucket(kSeconds.count) == 1);
  CHECK(histogram.in_bucket(0) == 1);
  CHECK(histogram.sum() == 300'004'000'000u);
}

TEST_CASE("statuses are counted one by one, and odd ones as 599") {
  StatusCounters counters;
  for (const unsigned status : {100u, 200u, 200u, 404u, 599u, 0u, 99u, 600u, 4'000'000'000u}) {
    counters.add(status);
  }
  CHECK(counters.value(100) == 1);
  CHECK(counters.value(200) == 2);
  CHECK(counters.value(201) == 0);
  CHECK(counters.value(302) == 0);
  CHECK(counters.value(404) == 1);
  CHECK(counters.value(599) == 5);
}

TEST_CASE("a counter of time ignores time that runs backwards") {
  Counter counter;
  counter.add(Duration(3us));
  counter.add(Duration(-3us));
  CHECK(counter.value() == 3000);
}

TEST_CASE("a gauge goes below zero and back") {
  Gauge gauge;
  gauge.subtract(2);
  CHECK(gauge.value() == -2);
  gauge.add(5);
  CHECK(gauge.value() == 3);
  gauge.set(-7);
  CHECK(gauge.value() == -7);
}
