// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/snapshot.h"
#include "net/unix_listener.h"
#include "server/worker.h"

namespace tidegate::server {

/// The bound addresses of the process. Opens what a configuration adds before anything changes, so
/// that one which cannot be bound refuses the configuration as a whole. Control thread only.
class Listeners {
 public:
  /// What each worker gets of one configuration; [worker][listener].
  using Handovers = std::vector<std::vector<ListenerHandover>>;

  struct Bound {
    std::string name;
    std::string address;  // with the real port
  };

  /// Opens a socket per worker (of a unix socket, one for all) for each listener that is not open
  /// yet. An error names the address and leaves all as it was.
  Fallible<Handovers> prepare(const config::Snapshot& snapshot, size_t workers);
  /// The prepared configuration is in use: forgets listeners that it does not name.
  void commit(const config::Snapshot& snapshot);
  /// In the order of the configuration in use.
  const std::vector<Bound>& bound() const { return bound_; }

 private:
  struct Entry {
    std::shared_ptr<std::atomic<uint32_t>> connections;
    net::SocketAddress address;
    std::shared_ptr<net::UnixSocketFile> file;  // of a unix socket
  };
  Fallible<Entry> open(const config::Listener& listener, size_t index, Handovers& to);
  Fallible<Entry> open_unix(const config::Listener& listener, size_t index, Handovers& to);

  std::map<std::string, Entry> entries_;
  std::map<std::string, Entry> prepared_;
  std::vector<Bound> bound_;
};

}  // namespace tidegate::server
