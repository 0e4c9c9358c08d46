// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

using namespace tidegate;

namespace {

/// A folder of this test's own.
struct Folder {
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() {
    for (const char* name : {"/file", "/fifo", "/link"}) ::unlink((path + name).c_str());
    ::rmdir(path.c_str());
  }
  std::string write(const std::string& text) const {
    std::ofstream(path + "/file", std::ios::binary) << text;
    return path + "/file";
  }
  std::string path = "/tmp/tidegate-file-test-XXXXXX";
};

}  // namespace

TEST_CASE("O18: a regular file is read as a whole, whatever its size and bytes") {
  const Folder folder;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{1} << 20}) {
    std::string text(size, 'x');
    if (size > 1) text[size / 2] = '\0';
    CHECK(read_regular_file(folder.write(text)).value() == text);
  }
}

TEST_CASE("O18: what is no regular file is refused and not waited for") {
  const Folder folder;
  REQUIRE(::mkfifo((folder.path + "/fifo").c_str(), 0600) == 0);
  CHECK(read_regular_file(folder.path + "/fifo").error() == "is no regular file");
  REQUIRE(::symlink("fifo", (folder.path + "/link").c_str()) == 0);
  CHECK(read_regular_file(folder.path + "/link").error() == "is no regular file");
  CHECK(read_regular_file("/dev/zero").error() == "is no regular file");
  CHECK(read_regular_file(folder.path).error() == "is a folder");
  CHECK(read_regular_file(folder.path + "/none").error() ==
        "cannot be read: No such file or directory");
}

TEST_CASE("O18: a file that does not know its size is read to its end") {
  CHECK(read_regular_file("/proc/self/status").value().find("VmRSS") != std::string::npos);
}

TEST_CASE("O18: a file that is far too large is refused before it takes memory") {
  const Folder folder;
  const std::string path = folder.write("");
  REQUIRE(::truncate(path.c_str(), static_cast<off_t>(kLargestFile)) == 0);
  CHECK(read_regular_file(path).error() == "is larger than 256 MiB");
}
