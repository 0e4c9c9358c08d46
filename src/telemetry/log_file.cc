// SPDX-License-Identifier: Apache-2.0
#include "telemetry/log_file.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tidegate::telemetry {
namespace {

int open_for_append(const std::string& path) {
  // Non-blocking matters for a named pipe: without a reader, opening it fails rather than waits.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  return ::open(path.c_str(), kFlags, 0640);
}

/// A pipe's flags are shared with all who write to it through the same open file, so it must stay
/// blocking there; but a write to it could then wait for ever, where another thread or process was
/// faster to fill it. -1: no pipe, or none that can be opened anew.
int open_pipe_anew(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0 || !S_ISFIFO(status.st_mode)) return -1;
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
}

}  // namespace

Fallible<std::shared_ptr<LogFile>> LogFile::open(const std::string& path) {
  const int descriptor = open_for_append(path);
  if (descriptor < 0) return tl::unexpected("cannot open " + path + ": " + std::strerror(errno));
  return std::shared_ptr<LogFile>(new LogFile(path, descriptor, true));
}

std::shared_ptr<LogFile> LogFile::of(int descriptor) {
  const int own = open_pipe_anew(descriptor);
  return std::shared_ptr<LogFile>(new LogFile({}, own < 0 ? descriptor : own, own >= 0));
}

LogFile::LogFile(std::string path, int descriptor, bool owned)
    : path_(std::move(path)), descriptor_(descriptor), owned_(owned) {
  look();
}

LogFile::~LogFile() {
  if (owned_) ::close(descriptor_);
}

void LogFile::look() {
  struct stat status {};
  may_block_ = fstat(descriptor_, &status) == 0 && !S_ISREG(status.st_mode);
}

ssize_t LogFile::write(std::string_view bytes) {
  if (may_block_) {
    // A pipe that polls writable takes PIPE_BUF bytes at once; whole lines where possible, since
    // others may write to it too.
    if (!wait_writable(0)) return 0;
    if (bytes.size() > PIPE_BUF) {
      bytes = bytes.substr(0, PIPE_BUF);
      const size_t line_end = bytes.rfind('\n');
      if (line_end != std::string_view::npos) bytes = bytes.substr(0, line_end + 1);
    }
  }
  const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
  if (written < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  return written;
}

bool LogFile::wait_writable(int milliseconds) const {
  pollfd poll_for{descriptor_, POLLOUT, 0};
  return ::poll(&poll_for, 1, milliseconds) > 0;
}

bool LogFile::moved_away() const {
  if (path_.empty()) return false;
  struct stat at_path {};
  struct stat opened {};
  if (::stat(path_.c_str(), &at_path) != 0) return errno == ENOENT;
  return fstat(descriptor_, &opened) == 0 &&
         (at_path.st_ino != opened.st_ino || at_path.st_dev != opened.st_dev);
}

bool LogFile::reopen() {
  if (path_.empty()) return true;
  const int descriptor = open_for_append(path_);
  if (descriptor < 0) return false;
  ::close(descriptor_);
  descriptor_ = descriptor;
  look();
  return true;
}

}  // namespace tidegate::telemetry
