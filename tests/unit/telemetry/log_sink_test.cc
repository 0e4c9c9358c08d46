// SPDX-License-Identifier: Apache-2.0
// Lines to a pipe that is full at times.
#include "telemetry/log_sink.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <array>

using namespace tidegate;

namespace {

/// A pipe of one page; what the sink cannot write at once is lost.
struct Rig {
  std::array<int, 2> ends{-1, -1};
  std::unique_ptr<log::LogSink> sink;

  Rig() {
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, PIPE_BUF) == PIPE_BUF);
    sink = std::make_unique<log::LogSink>(telemetry::LogFile::of(ends[1]));
    sink->flush_until(log::LogSink::Clock::time_point{});
  }
  ~Rig() {
    for (const int end : ends) ::close(end);
  }
  void write(const std::string& line) {
    sink->log(spdlog::details::log_msg("", spdlog::level::info, line));
  }
  /// All that the pipe holds, which must not be empty.
  std::string read() {
    std::array<char, PIPE_BUF> buffer;
    const ssize_t size = ::read(ends[0], buffer.data(), buffer.size());
    return {buffer.data(), static_cast<size_t>(size > 0 ? size : 0)};
  }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "O2: a line after one that was torn begins on a line of its own") {
  const std::string large(PIPE_BUF + 100, 'x');
  write(large);
  CHECK(sink->lost() == 1);
  write("lost");  // nothing of it is written
  CHECK(sink->lost() == 2);
  CHECK(read() == large.substr(0, PIPE_BUF));
  write("next");
  CHECK(read() == "\nnext\n");
  write("third");
  CHECK(read() == "third\n");
}

TEST_CASE_FIXTURE(Rig, "O2: a line that is lost as a whole leaves no empty one") {
  write(std::string(PIPE_BUF - 1, 'x'));
  write("lost");
  CHECK(sink->lost() == 1);
  CHECK(read().ends_with("x\n"));
  write("next");
  CHECK(read() == "next\n");
}
