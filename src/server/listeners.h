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
/// that one which cannot be bound refuses the configuration as a whole. An address has one
/// listener: two that overlap, or that another process listens on, are refused. Control thread
/// only.
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
  /// What was prepared is not used after all: closes and removes it.
  void discard() { prepared_.clear(); }
  /// The prepared configuration is in use: forgets listeners that it does not name.
  void commit(const config::Snapshot& snapshot);
  /// The workers have closed all of them: forgets them, and removes files of unix sockets.
  void close() { entries_.clear(); }
  /// No listener may have an address that overlaps this one, which belongs to `owner`.
  void keep_off(std::string owner, const net::SocketAddress& address) {
    others_.push_back({std::move(owner), address});
  }
  /// REQUIRES: it is the only one open.
  const net::SocketAddress& only_address() const { return entries_.begin()->second.address; }
  /// In the order of the configuration in use.
  const std::vector<Bound>& bound() const { return bound_; }

 private:
  struct Owned {
    std::string owner;
    net::SocketAddress address;
  };
  struct Entry {
    std::string name;
    std::shared_ptr<std::atomic<uint32_t>> connections;
    net::SocketAddress address;
    std::shared_ptr<net::UnixSocketFile> file;  // of a unix socket
  };
  /// The listener as it is open already; nullptr: it is not, or its file has gone.
  const Entry* find_open(const std::string& key) const;
  /// Who has an address that overlaps `address` in the configuration that is being prepared; or
  /// empty.
  std::string owner_of(const net::SocketAddress& address) const;
  bool is_ours(const net::SocketAddress& address) const;
  Fallible<Entry> open(const config::Listener& listener, size_t index, Handovers& to);
  Fallible<Entry> open_unix(const config::Listener& listener, size_t index, Handovers& to);

  std::map<std::string, Entry> entries_;
  std::map<std::string, Entry> prepared_;
  std::vector<Bound> bound_;
  std::vector<Owned> others_;
};

/// What of the addresses of listeners and admin cannot go together, as DNS says now; for `check`.
/// Blocks on DNS.
std::vector<std::string> address_faults(const config::Snapshot& snapshot);

}  // namespace tidegate::server
