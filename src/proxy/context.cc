// SPDX-License-Identifier: Apache-2.0
#include "proxy/context.h"

#include "proxy/exchange.h"

namespace tidegate::proxy {

WorkerContext::WorkerContext(net::EventLoop& event_loop, telemetry::Shard& cells)
    : loop(event_loop), shard(cells), metrics(cells) {}

WorkerContext::~WorkerContext() = default;

}  // namespace tidegate::proxy
