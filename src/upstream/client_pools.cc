// SPDX-License-Identifier: Apache-2.0
#include "upstream/client_pools.h"

#include "net/proxy_protocol.h"

namespace tidegate::upstream {

ProxiedClient::~ProxiedClient() {
  while (!pools_.empty()) pools_.front().group().forget(*this);
}

std::string ProxiedClient::header(int version) const {
  return net::write_proxy_header(version, source_, destination_);
}

Pool& ClientPools::of(ProxiedClient& client, const Pool::Cells& cells) {
  std::unique_ptr<ClientPool>& entry = pools_[&client];
  if (entry == nullptr) {
    const Pool::Settings& settings = common_.settings();
    entry = std::make_unique<ClientPool>(*this, loop_, common_.shared_endpoint(), settings, cells,
                                         client.header(settings.proxy_protocol));
    entry->pool().when_exhausted([this] { return common_.reclaim(); });
    client.pools_.push_back(*entry);
  }
  return entry->pool();
}

void ClientPools::configure(const Pool::Settings& settings) {
  const int version = settings.proxy_protocol;
  for (auto& [client, entry] : pools_) {
    entry->pool().configure(settings, version == 0 ? std::string() : client->header(version));
  }
}

void ClientPools::retire() {
  for (auto& [client, entry] : pools_) entry->pool().retire();
}

bool ClientPools::close_idle() {
  for (auto& [client, entry] : pools_) {
    if (entry->pool().close_idle()) return true;
  }
  return false;
}

void ClientPools::forget(const ProxiedClient& client) {
  const auto at = pools_.find(&client);
  at->second->unlink();
  // It may be on the stack.
  loop_.destroy_later(std::move(at->second));
  pools_.erase(at);
}

}  // namespace tidegate::upstream
