// SPDX-License-Identifier: Apache-2.0
#include "telemetry/rate_window.h"

#include <algorithm>
#include <chrono>

namespace tidegate::telemetry {

RateWindow::RateWindow(Registry& registry) : registry_(registry) {
  registry.add_collector([this](GaugeSink& sink) {
    sink.set(Family::SuccessRate, {}, success_rate());
    sink.set(Family::RequestsPerSecond, {}, requests_per_second());
  });
}

void RateWindow::sample(TimePoint now) {
  const Sample latest{now, registry_.sum(Family::ResponsesTotal),
                      registry_.sum(Family::ResponsesFailedTotal)};
  ring_[taken_++ % ring_.size()] = latest;
  const Sample& oldest = ring_[taken_ <= ring_.size() ? 0 : taken_ % ring_.size()];
  const double seconds = std::chrono::duration<double>(latest.at - oldest.at).count();
  const double responses = latest.responses - oldest.responses;
  const double failed = std::min(latest.failed - oldest.failed, responses);
  rate_.store(seconds > 0 ? responses / seconds : 0, std::memory_order_relaxed);
  success_.store(responses > 0 ? 1 - failed / responses : 1, std::memory_order_relaxed);
}

}  // namespace tidegate::telemetry
