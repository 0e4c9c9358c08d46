// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "telemetry/registry.h"

namespace tidegate::telemetry {

struct Exposition {
  std::string_view content_type;
  std::string body;
};

/// All metrics as text: OpenMetrics 1.0 when `accept` (a request's Accept field, empty when absent)
/// prefers it, else the Prometheus text format 0.0.4.
Exposition expose(const Registry& registry, std::string_view accept);

}  // namespace tidegate::telemetry
