// SPDX-License-Identifier: Apache-2.0
#include "script/chores.h"

#include <csignal>

namespace tidegate::script {

Chores::~Chores() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Chores::add(std::function<void()> chore) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(chore));
    if (!thread_.joinable()) {
      // Signals belong to the threads that handle them.
      sigset_t all;
      sigset_t before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      thread_ = std::thread([this] { loop(); });
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
  }
  changed_.notify_one();
}

void Chores::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    std::vector<std::function<void()>> chores;
    chores.swap(waiting_);
    lock.unlock();
    for (auto& chore : chores) chore();
    chores.clear();
    lock.lock();
  }
}

}  // namespace tidegate::script
