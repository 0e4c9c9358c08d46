// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <mutex>

#include "base/clock.h"

namespace tidegate::server {

/// The control thread waits until each worker has done its part. Any thread may arrive.
class Countdown {
 public:
  explicit Countdown(size_t parts) : left_(parts) {}

  void arrive() {
    std::lock_guard lock(mutex_);
    if (--left_ == 0) done_.notify_all();
  }
  /// False: some part was not done in time.
  bool wait_for(Duration limit) {
    std::unique_lock lock(mutex_);
    return done_.wait_for(lock, limit, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  size_t left_;
};

}  // namespace tidegate::server
