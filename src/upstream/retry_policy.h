// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bitset>
#include <cstdint>
#include <random>

#include "base/clock.h"
#include "base/error.h"
#include "config/snapshot.h"
#include "telemetry/families.h"
#include "upstream/cluster_load.h"

namespace tidegate::upstream {

/// What of a cluster's failures is worth a further attempt, when, and how many there may be. The
/// settings of one cluster; immutable.
class RetryPolicy {
 public:
  explicit RetryPolicy(const config::Retry& settings);

  const config::Retry& settings() const { return settings_; }
  bool enabled() const { return settings_.max_retries > 0; }
  bool hedges() const { return settings_.hedge.delay > Duration::zero(); }
  /// An attempt that failed with `code` is one to repeat.
  bool covers(ErrorCode code) const;
  bool covers(uint16_t status) const { return status < statuses_.size() && statuses_[status]; }
  static telemetry::RetryReason reason_of(ErrorCode code);

  /// Before retry `number`, from 1: anything from nothing to base × 2^(number - 1), at most max. So
  /// those whose attempts failed together do not come back together (full jitter).
  Duration backoff(unsigned number, std::minstd_rand& random) const;

 private:
  const config::Retry& settings_;
  bool connect_ = false;
  bool refused_ = false;
  bool reset_ = false;
  bool timeout_ = false;
  bool bad_response_ = false;
  std::bitset<600> statuses_;
};

}  // namespace tidegate::upstream
