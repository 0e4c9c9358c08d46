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

// Lookups that run at once. Up to this many may hang, on servers that do not answer, before others
// have to wait.
constexpr int kMostThreads = 16;

/// Runs `task` on a thread that nobody waits for. Signals belong to the control thread. False: the
/// system has no thread to give.
[[nodiscard]] bool run_detached(std::function<void()> task) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool runs = true;
  try {
    std::thread(std::move(task)).detach();
  } catch (const std::system_error&) {
    runs = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return runs;
}

NameAnswer no_thread(const std::string& name) {
  return tl::unexpected("cannot resolve " + name + ": the system has no thread for it");
}

}  // namespace

struct NameResolver::Shared {
  std::mutex mutex;
  std::condition_variable answered;
  std::deque<std::string> waiting;
  Answers answers;
  int threads = 0;
  EventLoop* loop;  // null: the resolver has gone
  OnAnswers on_answers;
  LookUp look_up;
};

NameResolver::NameResolver(EventLoop& loop, OnAnswers on_answers, LookUp look_up)
    : shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
  shared_->on_answers = std::move(on_answers);
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
  if (run_detached([shared = shared_] { work(shared); })) return;
  const std::lock_guard lock(shared_->mutex);
  // What waits is for the threads that there are. Without any it would wait for ever.
  if (--shared_->threads > 0 || shared_->waiting.empty()) return;
  for (std::string& one : std::exchange(shared_->waiting, {})) {
    NameAnswer answer = no_thread(one);
    shared_->answers.emplace_back(std::move(one), std::move(answer));
  }
  shared_->loop->post([shared = shared_] { pass_on(*shared); });
}

void NameResolver::keep_only(const std::set<std::string>& names) {
  const std::lock_guard lock(shared_->mutex);
  std::erase_if(shared_->waiting, [&](const std::string& name) { return !names.contains(name); });
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
  Answers answers;
  {
    const std::lock_guard lock(shared.mutex);
    if (shared.loop == nullptr) return;
    answers = std::exchange(shared.answers, {});
  }
  if (!answers.empty()) shared.on_answers(std::move(answers));
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
  const bool asked = run_detached([promise, name] { promise->set_value(system_look_up(name)); });
  if (!asked) return no_thread(name);
  if (answer.wait_for(limit) == std::future_status::ready) return answer.get();
  return tl::unexpected("cannot resolve " + name + ": no answer yet");
}

}  // namespace tidegate::net
