// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <unordered_map>

#include "base/intrusive_list.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "upstream/pool.h"

namespace tidegate::upstream {

class ClientPools;

/// The connections to one endpoint that speak for one client.
class ClientPool final : public net::Deferred, public ListNode<ClientPool> {
 public:
  ClientPool(ClientPools& group, net::EventLoop& loop, std::shared_ptr<Endpoint> endpoint,
             const Pool::Settings& settings, const Pool::Cells& cells, std::string header)
      : group_(group), pool_(loop, std::move(endpoint), settings, cells, std::move(header)) {}

  ClientPools& group() { return group_; }
  Pool& pool() { return pool_; }

 private:
  ClientPools& group_;
  Pool pool_;
};

/// A client's connection, as origins are told of it by the PROXY protocol. Belongs to that
/// connection; what speaks for it ends with it.
class ProxiedClient {
 public:
  /// An address that is none stands for one that is not known.
  ProxiedClient(const net::SocketAddress& source, const net::SocketAddress& destination)
      : source_(source), destination_(destination) {}
  ProxiedClient(const ProxiedClient&) = delete;
  ProxiedClient& operator=(const ProxiedClient&) = delete;
  /// REQUIRES: its exchanges have ended.
  ~ProxiedClient();

  std::string header(int version) const;

 private:
  friend class ClientPools;
  const net::SocketAddress source_;
  const net::SocketAddress destination_;
  List<ClientPool> pools_;
};

/// For a cluster that tells its origins by the PROXY protocol who the client is: one pool for each
/// client, in the place of the one pool of an endpoint in one worker, since such a connection
/// speaks for one client only.
class ClientPools {
 public:
  ClientPools(net::EventLoop& loop, Pool& common) : loop_(loop), common_(common) {}

  /// The client's pool, with the common one's endpoint and settings.
  Pool& of(ProxiedClient& client, const Pool::Cells& cells);
  void configure(const Pool::Settings& settings);
  void retire();
  bool close_idle();

 private:
  friend class ProxiedClient;
  void forget(const ProxiedClient& client);

  net::EventLoop& loop_;
  Pool& common_;
  std::unordered_map<const ProxiedClient*, std::unique_ptr<ClientPool>> pools_;
};

}  // namespace tidegate::upstream
