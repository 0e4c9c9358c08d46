// SPDX-License-Identifier: Apache-2.0
#include "net/unix_listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tidegate::net {
namespace {

constexpr int kBacklog = 4096;

std::string path_of(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr_un*>(address.raw())->sun_path;
}

OwnedFd stream_socket() {
  return OwnedFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// Why the file at a taken address must stay; empty: nobody listens there any more.
std::string reason_to_keep(const SocketAddress& address) {
  struct stat status {};
  if (::lstat(path_of(address).c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) return "a file that is no socket has that name";
  const OwnedFd probe = stream_socket();
  if (!probe) return "no descriptor left";
  if (::connect(probe.get(), address.raw(), address.length()) != 0 && errno == ECONNREFUSED) {
    return {};
  }
  return "another process listens there";
}

}  // namespace

UnixSocketFile::UnixSocketFile(std::string path)
    : path_(std::move(path)), inode_(::open(path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)) {
  struct stat status {};
  if (!inode_ || ::fstat(inode_.get(), &status) != 0) return;
  device_ = status.st_dev;
  number_ = status.st_ino;
}

UnixSocketFile::~UnixSocketFile() {
  if (in_place()) ::unlink(path_.c_str());
}

bool UnixSocketFile::in_place() const {
  struct stat status {};
  if (!inode_ || ::lstat(path_.c_str(), &status) != 0) return false;
  return status.st_dev == device_ && status.st_ino == number_;
}

bool UnixSocketFile::set_permissions(mode_t permissions) {
  return ::chmod(path_.c_str(), permissions) == 0;
}

Fallible<UnixListener> open_unix_listener(const SocketAddress& address,
                                          std::optional<mode_t> permissions) {
  const auto failed = [&](const std::string& what) {
    return tl::unexpected("cannot listen on " + address.to_string() + ": " + what);
  };
  const auto because = [&](const char* what) {
    return failed(std::string(what) + ": " + std::strerror(errno));
  };
  UnixListener listener{stream_socket(), nullptr};
  if (!listener.fd) return because("socket");
  // The file gets the mode that the socket has, less the umask; so there is no moment without it.
  if (permissions) ::fchmod(listener.fd.get(), *permissions);
  const auto bind = [&] { return ::bind(listener.fd.get(), address.raw(), address.length()) == 0; };
  if (!bind()) {
    if (errno != EADDRINUSE) return because("bind");
    if (const std::string reason = reason_to_keep(address); !reason.empty()) return failed(reason);
    ::unlink(path_of(address).c_str());
    if (!bind()) return because("bind");
  }
  listener.file = std::make_unique<UnixSocketFile>(path_of(address));
  if (permissions && !listener.file->set_permissions(*permissions)) return because("chmod");
  if (::listen(listener.fd.get(), kBacklog) != 0) return because("listen");
  return listener;
}

Fallible<OwnedFd> share_listener(const OwnedFd& fd) {
  OwnedFd shared(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!shared) return tl::unexpected(std::string("cannot share a socket: ") + std::strerror(errno));
  return shared;
}

}  // namespace tidegate::net
