// SPDX-License-Identifier: Apache-2.0
#include "upstream/retry_policy.h"

#include <doctest/doctest.h>

using namespace tidegate;
using namespace tidegate::upstream;
using namespace std::chrono_literals;

TEST_CASE("failures and statuses are those that the settings name") {
  config::Retry settings;
  settings.on = {"reset", "5xx", "429"};
  const RetryPolicy policy(settings);
  CHECK(policy.covers(ErrorCode::OriginReset));
  CHECK(policy.covers(ErrorCode::OriginClosed));
  CHECK_FALSE(policy.covers(ErrorCode::ConnectFailed));
  CHECK_FALSE(policy.covers(ErrorCode::PerTryTimeout));
  CHECK_FALSE(policy.covers(ErrorCode::BadResponse));
  CHECK(policy.covers(uint16_t{500}));
  CHECK(policy.covers(uint16_t{599}));
  CHECK(policy.covers(uint16_t{429}));
  CHECK_FALSE(policy.covers(uint16_t{404}));
  CHECK_FALSE(policy.covers(uint16_t{200}));
}

TEST_CASE("a refused stream is repeated where `refused` is named, a refused connection where `connect` is") {
  config::Retry settings;
  settings.on = {"refused"};
  CHECK(RetryPolicy(settings).covers(ErrorCode::StreamRefused));
  CHECK_FALSE(RetryPolicy(settings).covers(ErrorCode::ConnectFailed));
  settings.on = {"connect"};
  CHECK_FALSE(RetryPolicy(settings).covers(ErrorCode::StreamRefused));
  CHECK(RetryPolicy(settings).covers(ErrorCode::ConnectFailed));
  CHECK(RetryPolicy::reason_of(ErrorCode::StreamRefused) == telemetry::RetryReason::Refused);
}

TEST_CASE("hedging is asked for by its delay, with or without retries") {
  config::Retry settings;
  CHECK_FALSE(RetryPolicy(settings).hedges());
  settings.hedge.delay = 50ms;
  CHECK(RetryPolicy(settings).hedges());
  CHECK_FALSE(RetryPolicy(settings).enabled());
}

TEST_CASE("the time for the whole response is never up twice") {
  config::Retry settings;
  settings.on = {"connect", "reset", "timeout"};
  CHECK_FALSE(RetryPolicy(settings).covers(ErrorCode::ResponseTimeout));
  CHECK(RetryPolicy(settings).covers(ErrorCode::PerTryTimeout));
}

TEST_CASE("back-off doubles up to its maximum, and is anything below by chance") {
  const config::Retry settings;  // 25ms to 250ms
  const RetryPolicy policy(settings);
  std::minstd_rand random(1);
  const std::pair<unsigned, Duration> kMost[] = {{1, 25ms}, {2, 50ms}, {4, 200ms}, {5, 250ms}, {60, 250ms}};
  for (const auto& [number, most] : kMost) {
    CAPTURE(number);
    Duration sum{};
    Duration longest{};
    for (int i = 0; i < 10'000; ++i) {
      const Duration wait = policy.backoff(number, random);
      REQUIRE(wait >= 0ns);
      REQUIRE(wait <= most);
      longest = std::max(longest, wait);
      sum += wait;
    }
    CHECK(longest > most * 99 / 100);
    CHECK(sum / 10'000 > most * 48 / 100);
    CHECK(sum / 10'000 < most * 52 / 100);
  }
}
