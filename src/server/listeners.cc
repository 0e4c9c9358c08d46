// SPDX-License-Identifier: Apache-2.0
#include "server/listeners.h"

namespace tidegate::server {
namespace {

// Only the address, so that a listener can be renamed; but port 0 is another one for each.
std::string key_of(const config::Listener& listener) {
  const std::string address = listener.address.to_string();
  return listener.address.port == 0 && !listener.address.is_unix ? listener.name + " " + address
                                                                 : address;
}

Fallible<net::SocketAddress> first_address(const config::Address& address) {
  auto all = net::SocketAddress::resolve(address.host, address.port);
  if (!all) return tl::unexpected(all.error());
  return all->front();
}

}  // namespace

Fallible<Listeners::Entry> Listeners::open(const config::Listener& listener, size_t index,
                                           Handovers& to) {
  if (listener.address.is_unix) return open_unix(listener, index, to);
  auto address = first_address(listener.address);
  if (!address) return tl::unexpected("listener " + listener.name + ": " + address.error());
  Entry entry{std::make_shared<std::atomic<uint32_t>>(0), *address, nullptr};
  for (auto& handovers : to) {
    auto fd = net::open_listener(entry.address);
    if (!fd) return tl::unexpected("listener " + listener.name + ": " + fd.error());
    // Port 0 became a real one with the first socket, and the rest bind to that.
    entry.address = net::local_address(fd->get());
    handovers.push_back(
        {index, key_of(listener), std::move(*fd), entry.address.port(), entry.connections});
  }
  return entry;
}

Fallible<Listeners::Entry> Listeners::open_unix(const config::Listener& listener, size_t index,
                                                Handovers& to) {
  const auto failed = [&](const std::string& why) {
    return tl::unexpected("listener " + listener.name + ": " + why);
  };
  auto address = net::SocketAddress::from_unix_path(listener.address.host);
  if (!address) return failed(address.error());
  auto opened = net::open_unix_listener(*address, listener.permissions);
  if (!opened) return failed(opened.error());
  Entry entry{std::make_shared<std::atomic<uint32_t>>(0), *address, std::move(opened->file)};
  for (auto& handovers : to) {
    auto fd = net::share_listener(opened->fd);
    if (!fd) return failed(fd.error());
    handovers.push_back({index, key_of(listener), std::move(*fd), 0, entry.connections});
  }
  return entry;
}

Fallible<Listeners::Handovers> Listeners::prepare(const config::Snapshot& snapshot,
                                                  size_t workers) {
  Handovers handovers(workers);
  prepared_.clear();
  for (size_t i = 0; i < snapshot.listeners.size(); ++i) {
    const std::string key = key_of(snapshot.listeners[i]);
    if (const auto known = entries_.find(key); known != entries_.end()) {
      for (auto& one : handovers) {
        one.push_back({i, key, {}, known->second.address.port(), known->second.connections});
      }
      prepared_.insert(*known);
      continue;
    }
    auto opened = open(snapshot.listeners[i], i, handovers);
    if (!opened) {
      prepared_.clear();
      return tl::unexpected(opened.error());
    }
    prepared_.emplace(key, std::move(*opened));
  }
  return handovers;
}

void Listeners::commit(const config::Snapshot& snapshot) {
  entries_ = std::move(prepared_);
  prepared_.clear();
  bound_.clear();
  for (const config::Listener& listener : snapshot.listeners) {
    const Entry& entry = entries_.at(key_of(listener));
    bound_.push_back({listener.name, entry.address.to_string()});
    // It may have changed while the socket stays.
    if (entry.file != nullptr && listener.permissions) {
      entry.file->set_permissions(*listener.permissions);
    }
  }
}

}  // namespace tidegate::server
