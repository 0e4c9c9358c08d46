// SPDX-License-Identifier: Apache-2.0
#include "upstream/health_state.h"

namespace tidegate::upstream {

bool HealthState::record(bool passed, const config::HealthCheck& settings) {
  in_a_row_ = passed == last_passed_ ? in_a_row_ + 1 : 1;
  last_passed_ = passed;
  const bool decided =
      first_ || in_a_row_ >= (passed ? settings.healthy_after : settings.unhealthy_after);
  first_ = false;
  if (!decided || healthy_ == passed) return false;
  healthy_ = passed;
  return true;
}

}  // namespace tidegate::upstream
