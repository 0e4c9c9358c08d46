// SPDX-License-Identifier: Apache-2.0
// Active health checks of a cluster, as a struct of the configuration; see snapshot.h.
#pragma once
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "config/breaker.h"

namespace tidegate::config {

enum class HealthCheckType : uint8_t { Http, Tcp, Grpc };

struct HealthCheck {
  HealthCheckType type = HealthCheckType::Http;
  std::string path = "/health";
  std::string host;  // empty: the endpoint's own name
  StatusSet status{{{200, 299}}};
  std::string body;     // must stand in the response's first 64 KiB; empty: any
  std::string service;  // of grpc; empty: the server as a whole
  Duration interval = std::chrono::seconds(30);
  double jitter = 0.1;  // of the interval, either way
  Duration timeout = std::chrono::seconds(5);
  uint32_t healthy_after = 2;
  uint32_t unhealthy_after = 3;
  bool operator==(const HealthCheck&) const = default;
};

}  // namespace tidegate::config
