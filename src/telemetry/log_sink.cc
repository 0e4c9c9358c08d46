// SPDX-License-Identifier: Apache-2.0
#include "telemetry/log_sink.h"

#include <algorithm>
#include <string_view>

namespace tidegate::log {
namespace {

// How long a wait lasts before it looks whether the end has come meanwhile.
constexpr auto kLook = std::chrono::milliseconds(50);

}  // namespace

void LogSink::sink_it_(const spdlog::details::log_msg& message) {
  // What is torn ends here, so that it takes no whole line with it.
  line_ = torn_ ? "\n" : "";
  line_.append(message.payload.data(), message.payload.size());
  line_ += '\n';
  std::string_view rest = line_;
  while (!rest.empty()) {
    const ssize_t written = file_->write(rest);
    if (written < 0 || (written == 0 && !wait_writable())) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      const size_t taken = line_.size() - rest.size();
      if (taken > 0) torn_ = line_[taken - 1] != '\n';
      return;
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  torn_ = false;
}

bool LogSink::wait_writable() const {
  while (true) {
    const Clock::time_point limit(Clock::duration(limit_.load(std::memory_order_relaxed)));
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now());
    if (left.count() <= 0) return false;
    if (file_->wait_writable(static_cast<int>(std::min(left, kLook).count()))) return true;
  }
}

}  // namespace tidegate::log
