// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "telemetry/registry.h"

namespace tidegate::telemetry {

/// Registers the gauges of the process itself: build, start, memory, descriptors, CPU time; read
/// from the kernel at each scrape.
void add_process_metrics(Registry& registry);

}  // namespace tidegate::telemetry
