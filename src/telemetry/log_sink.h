// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "telemetry/log_file.h"

namespace tidegate::log {

/// Where spdlog's lines leave the process. It waits for a target that takes nothing, but not beyond
/// `flush_until`; what the target does not take is lost and counted. A reader that went away is
/// such a loss too: the process must ignore SIGPIPE.
class LogSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  using Clock = std::chrono::steady_clock;

  explicit LogSink(std::shared_ptr<telemetry::LogFile> file) : file_(std::move(file)) {}

  /// No line waits longer than this; any thread.
  void flush_until(Clock::time_point limit) {
    limit_.store(limit.time_since_epoch().count(), std::memory_order_relaxed);
  }
  /// Lines lost so far; any thread.
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}
  bool wait_writable() const;

  const std::shared_ptr<telemetry::LogFile> file_;
  std::string line_;
  bool torn_ = false;  // the target has the beginning of a line that was lost
  std::atomic<Clock::rep> limit_{Clock::time_point::max().time_since_epoch().count()};
  std::atomic<uint64_t> lost_{0};
};

}  // namespace tidegate::log
