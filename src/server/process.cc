// SPDX-License-Identifier: Apache-2.0
#include "server/process.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <limits>
#include <utility>

#include "net/descriptors.h"
#include "telemetry/log.h"

namespace tidegate::server {
namespace {

// Sent to a process that is still reading its configuration, they would end it.
constexpr int kWatchedLater[] = {SIGHUP, SIGUSR1, SIGUSR2};

void open_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    // The lowest free number is given out first.
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) ::open("/dev/null", O_RDWR);
  }
}

/// Unless somebody else in the process, such as a profiler, has taken the signal.
void ignore_if_default(int signal) {
  struct sigaction present {};
  if (::sigaction(signal, nullptr, &present) != 0 || present.sa_handler != SIG_DFL) return;
  ::signal(signal, SIG_IGN);
}

sigset_t signals_that_wait() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kWatchedLater) sigaddset(&signals, signal);
  return signals;
}

int open_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<int>::max();
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<int>::max()));
}

}  // namespace

void prepare_process() {
  open_standard_descriptors();
  const sigset_t waiting = signals_that_wait();
  ::sigprocmask(SIG_BLOCK, &waiting, nullptr);
  // Linux keeps a blocked signal although it is ignored, until a watch takes it.
  for (const int signal : kWatchedLater) ::signal(signal, SIG_IGN);
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);
  for (const int signal : {SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR, SIGSTKFLT}) {
    ignore_if_default(signal);
  }
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) ignore_if_default(signal);
}

void release_signals() {
  const sigset_t waiting = signals_that_wait();
  ::sigprocmask(SIG_UNBLOCK, &waiting, nullptr);
}

void raise_open_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  if (before != limit.rlim_max && ::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log::warn("cannot raise the open files limit");
  }
  net::descriptors::reserve(open_files_limit());
}

}  // namespace tidegate::server
