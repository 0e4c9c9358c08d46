// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "telemetry/access_log.h"
#include "telemetry/log_file.h"

namespace tidegate::telemetry {

/// The thread that writes the access logs of all workers to their one target. Owned by the server;
/// outlives the workers. Its methods belong to the control thread, but for `reopen`.
class AccessLogWriter {
 public:
  enum class Target : uint8_t { Off, Stdout, Stderr, File };
  struct Options {
    Target target = Target::Off;
    std::string file;  // when File
    log::Format format = log::Format::Json;
  };

  /// Lines that the target does not take count in `dropped`, a cell that only this thread adds to.
  explicit AccessLogWriter(Counter& dropped);
  AccessLogWriter(const AccessLogWriter&) = delete;
  AccessLogWriter& operator=(const AccessLogWriter&) = delete;
  ~AccessLogWriter();

  /// A new worker's log; `dropped` is a cell of that worker.
  AccessLog& add(Counter& dropped, size_t ring_bytes = AccessLog::kRingBytes);

  /// What a change begins with: the target is open, but not yet in use.
  struct Prepared {
    Options options;
    std::shared_ptr<LogFile> file;  // null: off
  };
  /// An error: the file cannot be opened, or is a named pipe that nobody reads.
  static Fallible<Prepared> prepare(Options options);
  /// Sets or changes the target.
  void use(Prepared prepared);
  /// Both. An error changes nothing.
  Fallible<void> configure(const Options& options);

  /// Opens the file anew, for log rotation. Any thread. (A file that was renamed or removed is
  /// noticed within a second anyway.)
  void reopen();

  /// Writes all that waits, as far as the target takes it within `limit`, and ends the thread. Call
  /// when the workers have ended. Done by the destructor too.
  void stop(std::chrono::milliseconds limit = std::chrono::seconds(2));

 private:
  enum class Progress : uint8_t { Nothing, Wrote, Blocked };

  void run();
  Progress drain();
  Progress drain_locked();
  Progress write_out(AccessLog& log);
  void give_up(AccessLog& log);
  void sleep_after(Progress progress);
  bool anything_waits();
  void look_at_file(std::chrono::steady_clock::time_point now);
  void wake();

  AccessLogControl control_;
  Counter& dropped_;
  std::atomic<bool> reopen_{false};
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;  // guards what follows, between control thread and writer; never a worker's
  std::vector<std::unique_ptr<AccessLog>> logs_;
  size_t next_log_ = 0;  // where drain goes on; a log whose line is half written comes first
  std::shared_ptr<LogFile> file_;
  Options options_;
  bool mid_line_ = false;  // the last byte written was not a line feed
  bool torn_ = false;      // the rest of a half written line was lost

  std::thread thread_;
  std::chrono::steady_clock::time_point next_look_{};  // writer thread
  std::chrono::steady_clock::time_point stop_by_ =     // set before stopping_
      std::chrono::steady_clock::time_point::max();
};

}  // namespace tidegate::telemetry
