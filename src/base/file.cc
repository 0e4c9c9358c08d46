// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tidegate {
namespace {

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

tl::unexpected<std::string> unreadable() {
  return tl::unexpected(std::string("cannot be read: ") + std::strerror(errno));
}

}  // namespace

Fallible<std::string> read_regular_file(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  if (file.number < 0) return unreadable();
  struct stat status {};
  if (::fstat(file.number, &status) != 0) return unreadable();
  if (S_ISDIR(status.st_mode)) return tl::unexpected(std::string("is a folder"));
  if (!S_ISREG(status.st_mode)) return tl::unexpected(std::string("is no regular file"));
  std::string text;
  // The size is a hint: files in /proc have none, and the file may grow meanwhile.
  size_t size = static_cast<size_t>(status.st_size) + 1;
  while (true) {
    if (size > kLargestFile) return tl::unexpected(std::string("is larger than 256 MiB"));
    const size_t before = text.size();
    text.resize(size);
    const ssize_t got = ::read(file.number, text.data() + before, size - before);
    text.resize(before + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got == 0) return text;
    if (got < 0 && errno != EINTR) return unreadable();
    if (text.size() == size) size += size / 2 + 4096;
  }
}

}  // namespace tidegate
