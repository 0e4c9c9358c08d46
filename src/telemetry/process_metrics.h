// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "telemetry/registry.h"

namespace tidegate::telemetry {

/// Registers the gauges of the process itself: build, start, memory, descriptors, CPU time; read
/// from the kernel at each scrape.
void add_process_metrics(Registry& registry);

/// Memory of the process that is in RAM; 0: cannot be told.
uint64_t resident_bytes();

}  // namespace tidegate::telemetry
