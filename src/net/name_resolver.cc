// SPDX-License-Identifier: Apache-2.0
#include "net/name_resolver.h"

#include <netdb.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>

#include "net/event_loop.h"
#include "net/socket_address.h"

namespace tidegate::net {
namespace {

// So many names that nobody answers for keep no other waiting.
constexpr int kMostThreads = 16;

/// Runs `task` on a thread that nobody waits for. Signals belong to the control thread.
void run_detached(std::function<void()> task) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread(std::move(task)).detach();
  } catch (const std::system_error&) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

struct NameResolver::Shared {
  std::mutex mutex;
  std::condition_variable answered;
  std::deque<std::string> waiting;
  std::vector<std::pair<std::string, NameAnswer>> answers;
  int threads = 0;
  EventLoop* loop;  // null: the resolver has gone
  OnAnswer on_answer;
  LookUp look_up;
};

NameResolver::NameResolver(EventLoop& loop, OnAnswer on_answer, LookUp look_up)
    : shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
  shared_->on_answer = std::move(on_answer);
  shared_->look_up = std::move(look_up);
}

NameResolver::~NameResolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->loop = nullptr;
  shared_->waiting.clear();
}

void NameResolver::ask(const std::string& name) {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->waiting.push_back(name);
    if (shared_->threads == kMostThreads) return;
    ++shared_->threads;
  }
  try {
    run_detached([shared = shared_] { work(shared); });
  } catch (const std::system_error& error) {
    const std::lock_guard lock(shared_->mutex);
    // What waits is for the threads that there are; without any, the next `ask` tries again.
    --shared_->threads;
  }
}

// A thread ends when nothing waits: names are looked up now and then, not all the time.
void NameResolver::work(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  while (!shared->waiting.empty()) {
    const std::string name = std::move(shared->waiting.front());
    shared->waiting.pop_front();
    lock.unlock();
    NameAnswer answer = shared->look_up(name);
    lock.lock();
    if (shared->loop == nullptr) break;
    shared->answers.emplace_back(name, std::move(answer));
    shared->answered.notify_one();
    shared->loop->post([shared] { pass_on(*shared); });
  }
  --shared->threads;
}

// In the loop's thread, to which the resolver belongs: it cannot go meanwhile.
void NameResolver::pass_on(Shared& shared) {
  std::vector<std::pair<std::string, NameAnswer>> answers;
  {
    const std::lock_guard lock(shared.mutex);
    if (shared.loop == nullptr) return;
    answers = std::exchange(shared.answers, {});
  }
  for (auto& [name, answer] : answers) shared.on_answer(name, std::move(answer));
}

bool NameResolver::wait_until(TimePoint until) {
  {
    std::unique_lock lock(shared_->mutex);
    const auto some = [&] { return !shared_->answers.empty(); };
    if (!shared_->answered.wait_until(lock, until, some)) return false;
  }
  pass_on(*shared_);
  return true;
}

NameAnswer NameResolver::system_look_up(const std::string& name) {
  const auto found = SocketAddress::resolve(name, 0);
  if (!found) return tl::unexpected(found.error());
  std::vector<IpAddress> addresses;
  for (const SocketAddress& one : *found) {
    if (std::ranges::find(addresses, one.ip()) == addresses.end()) addresses.push_back(one.ip());
  }
  return addresses;
}

NameAnswer NameResolver::look_up_within(const std::string& name, Duration limit) {
  if (const auto ip = IpAddress::parse(name)) return std::vector{*ip};
  auto promise = std::make_shared<std::promise<NameAnswer>>();
  auto answer = promise->get_future();
  run_detached([promise, name] { promise->set_value(system_look_up(name)); });
  if (answer.wait_for(limit) == std::future_status::ready) return answer.get();
  return tl::unexpected("cannot resolve " + name + ": no answer yet");
}

}  // namespace tidegate::net
