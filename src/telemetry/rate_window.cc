// SPDX-License-Identifier: Apache-2.0
#include "telemetry/rate_window.h"

#include <algorithm>
#include <chrono>

namespace tidegate::telemetry {

RateWindow::RateWindow(Registry& registry, TimePoint now) : registry_(registry) {
  ring_[0].at = now;
  registry.add_collector([this](GaugeSink& sink) {
    sink.set(Family::SuccessRate, {}, success_rate());
    sink.set(Family::RequestsPerSecond, {}, requests_per_second());
  });
}

RateWindow::Sample RateWindow::measure(TimePoint now) const {
  return {now, registry_.sum(Family::ResponsesTotal), registry_.sum(Family::ResponsesFailedTotal)};
}

const RateWindow::Sample& RateWindow::oldest() const {
  return ring_[taken_ <= ring_.size() ? 0 : taken_ % ring_.size()];
}

void RateWindow::sample(TimePoint now) {
  const Sample latest = measure(now);
  ring_[taken_++ % ring_.size()] = latest;
  const double seconds = std::chrono::duration<double>(latest.at - oldest().at).count();
  rate_ = seconds > 0 ? (latest.responses - oldest().responses) / seconds : 0;
}

double RateWindow::success_rate() const {
  const Sample latest = measure({});
  const double responses = latest.responses - oldest().responses;
  // The two sums are not read at one moment.
  const double failed = std::clamp(latest.failed - oldest().failed, 0.0, responses);
  return responses > 0 ? 1 - failed / responses : 1;
}

}  // namespace tidegate::telemetry
