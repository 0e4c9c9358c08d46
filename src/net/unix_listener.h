// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/owned_fd.h"
#include "net/socket_address.h"

namespace tidegate::net {

/// The file of a unix socket that this process listens on. Removes it at its end, unless it has
/// become another's meanwhile.
class UnixSocketFile {
 public:
  explicit UnixSocketFile(std::string path);
  ~UnixSocketFile();
  UnixSocketFile(const UnixSocketFile&) = delete;
  UnixSocketFile& operator=(const UnixSocketFile&) = delete;

  /// The path still leads to this file.
  bool in_place() const;
  /// Sets the file's mode; false: the system refuses (errno).
  bool set_permissions(mode_t permissions);

 private:
  std::string path_;
  OwnedFd inode_;  // keeps the inode's number from being given to another file
  dev_t device_ = 0;
  ino_t number_ = 0;
};

struct UnixListener {
  OwnedFd fd;
  std::unique_ptr<UnixSocketFile> file;
};

/// Opens a listening unix socket. A file that a dead process left is replaced; one that somebody
/// listens on, or that is no socket, is an error. Never is the file open to more than
/// `permissions`.
Fallible<UnixListener> open_unix_listener(const SocketAddress& address,
                                          std::optional<mode_t> permissions);
/// Another descriptor of the same listening socket: SO_REUSEPORT does not exist for unix sockets,
/// so workers accept from one queue.
Fallible<OwnedFd> share_listener(const OwnedFd& fd);

}  // namespace tidegate::net
