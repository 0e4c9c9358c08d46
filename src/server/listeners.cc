// SPDX-License-Identifier: Apache-2.0
#include "server/listeners.h"

#include <algorithm>

#include "net/name_resolver.h"

namespace tidegate::server {
namespace {

// Only the address, so that a listener can be renamed; but port 0 is another one for each.
std::string key_of(const config::Listener& listener) {
  const std::string address = listener.address.to_string();
  return listener.address.port == 0 && !listener.address.is_unix ? listener.name + " " + address
                                                                 : address;
}

/// The kernel would take a connection to one for one to the other, or could.
bool overlap(const net::SocketAddress& a, const net::SocketAddress& b) {
  if (a.is_unix() || b.is_unix()) return false;  // one file, one listener: binding tells
  if (a.family() != b.family() || a.port() != b.port() || a.port() == 0) return false;
  const IpAddress any = a.family() == AF_INET ? IpAddress::v4(0) : IpAddress::v6({});
  return a.ip() == b.ip() || a.ip() == any || b.ip() == any;
}

std::string in_listener(const config::Listener& listener, const std::string& what) {
  return "listener " + listener.name + ": " + what;
}

std::string collision(const config::Listener& listener, const std::string& owner) {
  return in_listener(listener, "its address " + listener.address.to_string() + " is also that of " +
                                   owner + ": change one of them");
}

Fallible<net::SocketAddress> first_address(const config::Address& address) {
  // In the control thread, which no name server may hold up.
  constexpr auto kWithin = std::chrono::seconds(2);
  auto all = net::NameResolver::look_up_within(address.host, kWithin);
  if (!all) return tl::unexpected(all.error());
  return net::SocketAddress::from_ip(all->front(), address.port);
}

}  // namespace

Fallible<Listeners::Entry> Listeners::open(const config::Listener& listener, size_t index,
                                           Handovers& to) {
  if (listener.address.is_unix) return open_unix(listener, index, to);
  auto address = first_address(listener.address);
  if (!address) return tl::unexpected(in_listener(listener, address.error()));
  net::OwnedFd claim;  // until all sockets listen
  if (address->port() != 0) claim = net::claim_port(address->port());
  // What this process listens on already gives way to the new configuration, or collides with it.
  if (address->port() != 0 && !is_ours(*address)) {
    if (const auto free = net::check_free(*address); !free) {
      return tl::unexpected(in_listener(listener, free.error()));
    }
  }
  Entry entry{listener.name, std::make_shared<std::atomic<uint32_t>>(0), *address, nullptr};
  for (auto& handovers : to) {
    auto fd = net::open_listener(entry.address);
    if (!fd) return tl::unexpected(in_listener(listener, fd.error()));
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
    return tl::unexpected(in_listener(listener, why));
  };
  auto address = net::SocketAddress::from_unix_path(listener.address.host);
  if (!address) return failed(address.error());
  auto opened = net::open_unix_listener(*address, listener.permissions);
  if (!opened) return failed(opened.error());
  Entry entry{listener.name, std::make_shared<std::atomic<uint32_t>>(0), *address,
              std::move(opened->file)};
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
    Fallible<Entry> entry;
    if (const Entry* known = find_open(key)) {
      for (auto& one : handovers) {
        one.push_back({i, key, {}, known->address.port(), known->connections});
      }
      entry = *known;
      entry->name = snapshot.listeners[i].name;
    } else {
      entry = open(snapshot.listeners[i], i, handovers);
    }
    if (entry) {
      const std::string owner = owner_of(entry->address);
      if (!owner.empty()) entry = tl::unexpected(collision(snapshot.listeners[i], owner));
    }
    if (!entry) {
      discard();
      return tl::unexpected(entry.error());
    }
    prepared_.emplace(key, std::move(*entry));
  }
  return handovers;
}

const Listeners::Entry* Listeners::find_open(const std::string& key) const {
  const auto known = entries_.find(key);
  if (known == entries_.end()) return nullptr;
  const auto& file = known->second.file;
  return file == nullptr || file->in_place() ? &known->second : nullptr;
}

std::string Listeners::owner_of(const net::SocketAddress& address) const {
  for (const Owned& other : others_) {
    if (overlap(other.address, address)) return other.owner;
  }
  for (const auto& [key, entry] : prepared_) {
    if (overlap(entry.address, address)) return "listener " + entry.name;
  }
  return {};
}

bool Listeners::is_ours(const net::SocketAddress& address) const {
  return std::ranges::any_of(
             entries_, [&](const auto& one) { return overlap(one.second.address, address); }) ||
         !owner_of(address).empty();
}

std::vector<std::string> address_faults(const config::Snapshot& snapshot) {
  std::vector<std::string> faults;
  std::vector<std::pair<std::string, net::SocketAddress>> owned;
  if (snapshot.admin.address && !snapshot.admin.address->is_unix) {
    if (const auto address = first_address(*snapshot.admin.address)) {
      owned.emplace_back("the admin address", *address);
    } else {
      faults.push_back("admin.address: " + address.error());
    }
  }
  for (const config::Listener& listener : snapshot.listeners) {
    if (listener.address.is_unix) continue;
    const auto address = first_address(listener.address);
    if (!address) {
      faults.push_back(in_listener(listener, address.error()));
      continue;
    }
    for (const auto& [owner, other] : owned) {
      if (overlap(other, *address)) faults.push_back(collision(listener, owner));
    }
    owned.emplace_back("listener " + listener.name, *address);
  }
  return faults;
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
