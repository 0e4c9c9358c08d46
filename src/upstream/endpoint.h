// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "config/snapshot.h"
#include "net/socket_address.h"

namespace tidegate::upstream {

/// One address in a cluster. Shared by all workers and kept over reloads for as long as its cluster
/// names it; what changes while serving is atomic.
struct Endpoint {
  config::Endpoint config;
  std::string address;                 // "10.0.0.1:8080": what logs, metrics and scripts call it
  std::string authority;               // Host for `host: origin`: name[:port] as in the URL
  std::vector<net::SocketAddress> resolved;  // at least one; tried in order

  std::atomic<uint32_t> active{0};     // requests under way, all workers
  std::atomic<uint32_t> latency_us{0}; // moving average of time to response head
  std::atomic<bool> healthy{true};
  std::atomic<bool> draining{false};

  bool available() const {
    return healthy.load(std::memory_order_relaxed) && !draining.load(std::memory_order_relaxed);
  }
};

}  // namespace tidegate::upstream
