// SPDX-License-Identifier: Apache-2.0
#include "telemetry/access_log_writer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

using namespace tidegate;
using namespace tidegate::telemetry;
using nlohmann::json;
using Target = AccessLogWriter::Target;

namespace {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "access-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void write_path(AccessLog& log, const std::string& path) {
  AccessRecord record;
  record.path = path;
  record.status = 200;
  log.write(record);
}

std::string path_in(const std::string& line) {
  return json::parse(line).at("path");
}

struct Fixture {
  TemporaryFolder folder;
  Counter lost;
  Counter dropped;
  AccessLogWriter writer{lost};
  AccessLog& log = writer.add(dropped);

  void log_to(const std::string& file) {
    REQUIRE(writer.configure({Target::File, file, log::Format::Json}).has_value());
  }
};

}  // namespace

TEST_CASE("pieces come out of a ring in the order they went in, over its end too") {
  ByteRing ring(64);
  std::string sent;
  std::string received;
  for (int i = 0; i < 500; ++i) {
    const std::string piece(static_cast<size_t>(1 + i % 40), static_cast<char>('a' + i % 26));
    while (!ring.push(piece)) {
      iovec waiting[2];
      ring.peek(waiting);
      const size_t take = std::min<size_t>(waiting[0].iov_len, 7);
      received.append(static_cast<const char*>(waiting[0].iov_base), take);
      ring.consume(take);
    }
    sent += piece;
  }
  iovec waiting[2];
  const size_t rest = ring.peek(waiting);
  for (const iovec& piece : waiting) {
    received.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  ring.consume(rest);
  CHECK(received == sent);
  CHECK(ring.used() == 0);
}

TEST_CASE("a piece that does not fit goes in not at all") {
  ByteRing ring(16);
  CHECK(ring.push("0123456789"));
  CHECK_FALSE(ring.push("0123456789"));
  CHECK(ring.push("abcdef"));
  CHECK(ring.used() == 16);
}

TEST_CASE("a full ring drops whole lines and counts them") {
  AccessLogControl control;
  control.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  control.enabled = true;
  Counter dropped;
  AccessLog log(control, dropped, 1024);
  for (int i = 0; i < 100; ++i) write_path(log, "/");
  CHECK(dropped.value() > 80);
  CHECK(dropped.value() < 100);
  uint64_t woken = 0;
  CHECK(::read(control.wake_fd, &woken, sizeof woken) == sizeof woken);
  CHECK(woken == 1);  // once, when it was half full
  ::close(control.wake_fd);
}

TEST_CASE("an access log is off until it has a target") {
  Fixture fixture;
  CHECK_FALSE(fixture.log.enabled());
  fixture.log_to(fixture.folder.file("access.log"));
  CHECK(fixture.log.enabled());
  REQUIRE(fixture.writer.configure({}).has_value());
  CHECK_FALSE(fixture.log.enabled());
}

TEST_CASE("stopping writes every line that waits") {
  Fixture fixture;
  const std::string file = fixture.folder.file("access.log");
  fixture.log_to(file);
  for (int i = 0; i < 1000; ++i) write_path(fixture.log, "/" + std::to_string(i));
  fixture.writer.stop();
  const auto lines = lines_of(file);
  REQUIRE(lines.size() == 1000);
  for (size_t i = 0; i < lines.size(); ++i) CHECK(path_in(lines[i]) == "/" + std::to_string(i));
  CHECK_FALSE(fixture.log.enabled());
}

TEST_CASE("a file is appended to") {
  Fixture fixture;
  const std::string file = fixture.folder.file("access.log");
  std::ofstream(file) << "already here\n";
  fixture.log_to(file);
  write_path(fixture.log, "/new");
  fixture.writer.stop();
  const auto lines = lines_of(file);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "already here");
}

TEST_CASE("after a rename, reopening starts the file anew and loses nothing") {
  Fixture fixture;
  const std::string file = fixture.folder.file("access.log");
  fixture.log_to(file);
  write_path(fixture.log, "/before");
  std::filesystem::rename(file, file + ".1");
  fixture.writer.reopen();
  fixture.writer.stop();
  REQUIRE(std::filesystem::exists(file));
  // What waited at the rename still belongs to the old file.
  REQUIRE(lines_of(file + ".1").size() == 1);
  CHECK(path_in(lines_of(file + ".1")[0]) == "/before");
  CHECK(lines_of(file).empty());
}

TEST_CASE("a file that was renamed away is noticed") {
  TemporaryFolder folder;
  const std::string path = folder.file("access.log");
  auto file = LogFile::open(path);
  REQUIRE(file.has_value());
  CHECK_FALSE((*file)->moved_away());
  std::filesystem::rename(path, path + ".1");
  CHECK((*file)->moved_away());
  std::ofstream(path) << "somebody else's\n";
  CHECK((*file)->moved_away());
  CHECK((*file)->reopen());
  CHECK_FALSE((*file)->moved_away());
}

TEST_CASE("a target that cannot be opened is refused and changes nothing") {
  Fixture fixture;
  const std::string file = fixture.folder.file("access.log");
  fixture.log_to(file);
  const auto refused = fixture.writer.configure(
      {Target::File, fixture.folder.file("missing/access.log"), log::Format::Text});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().find("missing/access.log") != std::string::npos);
  write_path(fixture.log, "/still");
  fixture.writer.stop();
  CHECK(lines_of(file).size() == 1);
}

TEST_CASE("lines that a full disk refuses are counted") {
  if (!std::filesystem::exists("/dev/full")) return;
  Fixture fixture;
  log::redirect([](std::string_view) {});
  fixture.log_to("/dev/full");
  for (int i = 0; i < 10; ++i) write_path(fixture.log, "/");
  fixture.writer.stop();
  log::redirect(nullptr);
  CHECK(fixture.lost.value() == 10);
  CHECK(fixture.dropped.value() == 0);
}

TEST_CASE("a pipe that nobody reads holds up neither the worker nor the end") {
  Fixture fixture;
  const std::string pipe = fixture.folder.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  fixture.log_to(pipe);
  const std::string path(2000, 'x');
  for (int i = 0; i < 2000; ++i) write_path(fixture.log, path);
  fixture.writer.stop(std::chrono::milliseconds(20));
  CHECK(fixture.dropped.value() > 0);
  std::string received(65536, '\0');
  const ssize_t got = ::read(reader, received.data(), received.size());
  REQUIRE(got > 0);
  received.resize(static_cast<size_t>(got));
  CHECK(path_in(received.substr(0, received.find('\n'))) == path);
  ::close(reader);
}

TEST_CASE("a named pipe without a reader is refused rather than waited for") {
  Fixture fixture;
  const std::string pipe = fixture.folder.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_FALSE(fixture.writer.configure({Target::File, pipe, log::Format::Json}).has_value());
}

TEST_CASE("lines of several workers come whole and each worker's in order") {
  TemporaryFolder folder;
  const std::string file = folder.file("access.log");
  constexpr int kWorkers = 3;
  constexpr uint64_t kLines = 3000;
  Counter lost;
  std::vector<Counter> dropped(kWorkers);
  AccessLogWriter writer(lost);
  REQUIRE(writer.configure({Target::File, file, log::Format::Json}).has_value());
  std::vector<std::thread> workers;
  for (int w = 0; w < kWorkers; ++w) {
    AccessLog& log = writer.add(dropped[static_cast<size_t>(w)], 1 << 14);
    workers.emplace_back([&log, w] {
      for (uint64_t i = 0; i < kLines; ++i) {
        AccessRecord record;
        record.listener = std::string_view("abc").substr(static_cast<size_t>(w), 1);
        record.bytes_in = i;
        log.write(record);
      }
    });
  }
  for (auto& worker : workers) worker.join();
  writer.stop();
  std::map<std::string, uint64_t> next;
  uint64_t written = 0;
  bool in_order = true;
  for (const auto& line : lines_of(file)) {
    const auto parsed = json::parse(line);
    uint64_t& expected = next[parsed.at("listener")];
    in_order = in_order && parsed.at("bytes_in") >= expected;
    expected = parsed.at("bytes_in").get<uint64_t>() + 1;
    ++written;
  }
  CHECK(in_order);
  uint64_t all_dropped = 0;
  for (const auto& counter : dropped) all_dropped += counter.value();
  CHECK(written + all_dropped == kWorkers * kLines);
  CHECK(written > 0);
}
