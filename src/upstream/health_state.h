// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "config/health_check.h"

namespace tidegate::upstream {

/// What one endpoint's checks have said so far. Healthy to begin with; the first check decides at
/// once, later ones as many in a row as the settings ask for.
class HealthState {
 public:
  explicit HealthState(bool healthy) : healthy_(healthy) {}

  bool healthy() const { return healthy_; }
  /// Checks in a row that said so.
  uint32_t in_a_row() const { return in_a_row_; }
  /// True: the endpoint's health is another one now.
  bool record(bool passed, const config::HealthCheck& settings);

 private:
  bool healthy_;
  bool first_ = true;
  bool last_passed_ = true;
  uint32_t in_a_row_ = 0;
};

}  // namespace tidegate::upstream
