// SPDX-License-Identifier: Apache-2.0
#include "upstream/retry_policy.h"

#include <algorithm>

#include "base/strings.h"

namespace tidegate::upstream {

using telemetry::RetryReason;

RetryPolicy::RetryPolicy(const config::Retry& settings) : settings_(settings) {
  for (const std::string& on : settings.on) {
    connect_ = connect_ || on == "connect";
    refused_ = refused_ || on == "refused";
    reset_ = reset_ || on == "reset";
    timeout_ = timeout_ || on == "timeout";
    bad_response_ = bad_response_ || on == "bad_response";
    if (on.ends_with("xx")) {
      const size_t first = static_cast<size_t>(on[0] - '0') * 100;
      for (size_t status = first; status < first + 100; ++status) statuses_.set(status);
    } else if (const auto status = parse_decimal(on)) {
      statuses_.set(static_cast<size_t>(*status));
    }
  }
}

RetryReason RetryPolicy::reason_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::OriginReset:
    case ErrorCode::OriginClosed:
      return RetryReason::Reset;
    case ErrorCode::StreamRefused:
      return RetryReason::Refused;
    case ErrorCode::PerTryTimeout:
      return RetryReason::Timeout;
    case ErrorCode::BadResponse:
      return RetryReason::BadResponse;
    default:
      return RetryReason::Connect;
  }
}

bool RetryPolicy::covers(ErrorCode code) const {
  if (!describe(code).retryable || code == ErrorCode::ResponseTimeout) return false;
  switch (reason_of(code)) {
    case RetryReason::Reset:
      return reset_;
    case RetryReason::Refused:
      return refused_;
    case RetryReason::Timeout:
      return timeout_;
    case RetryReason::BadResponse:
      return bad_response_;
    default:
      return connect_;
  }
}

Duration RetryPolicy::backoff(unsigned number, std::minstd_rand& random) const {
  const unsigned doublings = std::min(number - 1, 30u);
  const int64_t most =
      std::min(settings_.backoff.max.count(), settings_.backoff.base.count() << doublings);
  return Duration(std::uniform_int_distribution<int64_t>(0, std::max<int64_t>(most, 0))(random));
}

}  // namespace tidegate::upstream
