// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tidegate::script {

/// A thread for work that takes long and that nobody waits for, such as ending a large VM. Begins
/// with the first chore; ends, with all of them done, when this is destroyed. Any thread may add.
class Chores {
 public:
  Chores() = default;
  Chores(const Chores&) = delete;
  Chores& operator=(const Chores&) = delete;
  ~Chores();

  void add(std::function<void()> chore);

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tidegate::script
