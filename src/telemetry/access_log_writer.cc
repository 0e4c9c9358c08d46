// SPDX-License-Identifier: Apache-2.0
#include "telemetry/access_log_writer.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace tidegate::telemetry {
namespace {

constexpr int kBatchMilliseconds = 100;  // between two writes while lines come
constexpr int kIdleMilliseconds = 1000;  // while none come
constexpr auto kLookInterval = std::chrono::seconds(1);

/// Signals belong to the control thread.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

AccessLogWriter::AccessLogWriter(Counter& dropped) : dropped_(dropped) {
  control_.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (control_.wake_fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

AccessLogWriter::~AccessLogWriter() {
  stop();
  ::close(control_.wake_fd);
}

AccessLog& AccessLogWriter::add(Counter& dropped, size_t ring_bytes) {
  const std::lock_guard lock(mutex_);
  return *logs_.emplace_back(std::make_unique<AccessLog>(control_, dropped, ring_bytes));
}

Fallible<AccessLogWriter::Prepared> AccessLogWriter::prepare(Options options) {
  Prepared prepared{std::move(options), nullptr};
  if (prepared.options.target == Target::File) {
    auto opened = LogFile::open(prepared.options.file);
    if (!opened) return tl::unexpected(opened.error());
    prepared.file = std::move(*opened);
  } else if (prepared.options.target != Target::Off) {
    prepared.file =
        LogFile::of(prepared.options.target == Target::Stdout ? STDOUT_FILENO : STDERR_FILENO);
  }
  return prepared;
}

void AccessLogWriter::use(Prepared prepared) {
  const Target target = prepared.options.target;
  control_.format.store(prepared.options.format, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    if (prepared.file != nullptr)
      file_ = std::move(prepared.file);  // off: what waits still goes out
    options_ = std::move(prepared.options);
  }
  control_.enabled.store(target != Target::Off, std::memory_order_relaxed);
  const bool needs_thread = target != Target::Off && !thread_.joinable() && !stopping_;
  if (needs_thread) thread_ = std::thread([this] { run(); });
}

Fallible<void> AccessLogWriter::configure(const Options& options) {
  auto prepared = prepare(options);
  if (!prepared) return tl::unexpected(prepared.error());
  use(std::move(*prepared));
  return {};
}

void AccessLogWriter::reopen() {
  reopen_.store(true, std::memory_order_relaxed);
  wake();
}

void AccessLogWriter::stop(std::chrono::milliseconds limit) {
  control_.enabled.store(false, std::memory_order_relaxed);
  if (!thread_.joinable()) return;
  stop_by_ = std::chrono::steady_clock::now() + limit;
  stopping_.store(true, std::memory_order_release);
  wake();
  thread_.join();
}

void AccessLogWriter::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(control_.wake_fd, &one, sizeof one);
}

void AccessLogWriter::run() {
  block_signals();
  while (!stopping_.load(std::memory_order_acquire)) {
    look_at_file(std::chrono::steady_clock::now());
    sleep_after(drain());
  }
  look_at_file(std::chrono::steady_clock::now());
  while (drain() == Progress::Blocked && std::chrono::steady_clock::now() < stop_by_) {
    const std::lock_guard lock(mutex_);
    file_->wait_writable(kBatchMilliseconds / 10);
  }
}

void AccessLogWriter::look_at_file(std::chrono::steady_clock::time_point now) {
  const bool asked = reopen_.exchange(false, std::memory_order_relaxed);
  if (!asked && now < next_look_) return;
  next_look_ = now + kLookInterval;
  const std::lock_guard lock(mutex_);
  if (!asked && !file_->moved_away()) return;
  drain_locked();
  if (!file_->reopen()) {
    log::log_limited("access_log", log::Level::Error, "access log cannot be reopened",
                     {{"file", options_.file}, {"reason", std::strerror(errno)}});
  }
}

AccessLogWriter::Progress AccessLogWriter::drain() {
  const std::lock_guard lock(mutex_);
  return drain_locked();
}

AccessLogWriter::Progress AccessLogWriter::drain_locked() {
  Progress all = Progress::Nothing;
  for (size_t i = 0; i < logs_.size(); ++i) {
    const Progress one = write_out(*logs_[next_log_]);
    if (one == Progress::Blocked) return one;
    if (one == Progress::Wrote) all = one;
    next_log_ = (next_log_ + 1) % logs_.size();
  }
  return all;
}

/// Writes what waits in one ring to its end, so that no other ring's line comes in between.
AccessLogWriter::Progress AccessLogWriter::write_out(AccessLog& log) {
  iovec pieces[2];
  if (log.ring_.peek(pieces) == 0) return Progress::Nothing;
  for (const iovec& piece : pieces) {
    std::string_view rest(static_cast<const char*>(piece.iov_base), piece.iov_len);
    while (!rest.empty()) {
      const ssize_t written = file_->write(torn_ ? "\n" : rest);
      if (written == 0) return Progress::Blocked;
      if (written < 0) {
        give_up(log);
        return Progress::Wrote;
      }
      if (std::exchange(torn_, false)) continue;
      const auto size = static_cast<size_t>(written);
      mid_line_ = rest[size - 1] != '\n';
      log.ring_.consume(size);
      rest.remove_prefix(size);
    }
  }
  return Progress::Wrote;
}

/// The target failed: what waits is lost, and counted.
void AccessLogWriter::give_up(AccessLog& log) {
  log::log_limited("access_log", log::Level::Error, "access log cannot be written",
                   {{"reason", std::strerror(errno)}});
  iovec pieces[2];
  const size_t waiting = log.ring_.peek(pieces);
  for (const iovec& piece : pieces) {
    const auto* bytes = static_cast<const char*>(piece.iov_base);
    dropped_.add(static_cast<uint64_t>(std::count(bytes, bytes + piece.iov_len, '\n')));
  }
  log.ring_.consume(waiting);
  torn_ = std::exchange(mid_line_, false) || torn_;
}

bool AccessLogWriter::anything_waits() {
  const std::lock_guard lock(mutex_);
  iovec pieces[2];
  return std::any_of(logs_.begin(), logs_.end(),
                     [&](const auto& log) { return log->ring_.peek(pieces) > 0; });
}

void AccessLogWriter::sleep_after(Progress progress) {
  int limit = kBatchMilliseconds;
  if (progress == Progress::Nothing) {
    control_.idle.store(true);
    // A line that came in meanwhile was not told that the thread is idle.
    limit = anything_waits() ? 0 : kIdleMilliseconds;
  }
  pollfd woken{control_.wake_fd, POLLIN, 0};
  if (::poll(&woken, 1, limit) > 0) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(control_.wake_fd, &count, sizeof count);
  }
  control_.idle.store(false, std::memory_order_relaxed);
}

}  // namespace tidegate::telemetry
