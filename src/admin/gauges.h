// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>

#include "proxy/shared_snapshot.h"
#include "telemetry/registry.h"

namespace tidegate::admin {

/// Registers what is read from the configuration in use at each scrape: the endpoints' health and
/// the number of workers. `snapshot` is called in the scraping thread and outlives the scrapes.
void add_gauges(telemetry::Registry& registry,
                std::function<std::shared_ptr<const proxy::SharedSnapshot>()> snapshot,
                size_t workers);

}  // namespace tidegate::admin
