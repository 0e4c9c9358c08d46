// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidegate::telemetry {

/// Where lines are written to: a file of its own, appended to, or a descriptor of the process.
/// Used by one thread at a time.
class LogFile {
 public:
  static Fallible<std::shared_ptr<LogFile>> open(const std::string& path);
  /// `descriptor` is not closed, and keeps its flags, which other processes may share.
  static std::shared_ptr<LogFile> of(int descriptor);

  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile();

  /// Writes as much as goes without waiting; 0: the target takes nothing now; -1: it failed, errno
  /// says how.
  ssize_t write(std::string_view bytes);
  /// Waits until the target takes bytes, or `milliseconds` have passed.
  bool wait_writable(int milliseconds) const;

  /// The path no longer leads to the open file: it was renamed or removed.
  bool moved_away() const;
  /// Opens the path anew; on failure the old file stays.
  bool reopen();

 private:
  LogFile(std::string path, int descriptor, bool owned);
  void look();

  std::string path_;  // empty: not ours
  int descriptor_;
  const bool owned_;
  bool may_block_ = false;  // a pipe, socket or terminal
};

}  // namespace tidegate::telemetry
