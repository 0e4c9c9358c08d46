// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <memory>

#include "config/snapshot.h"
#include "http/codec.h"
#include "http/http2/settings.h"
#include "net/socket_address.h"
#include "proxy/shared_snapshot.h"

namespace tidegate::proxy {

/// What the connections of one listener in one worker refer to. Outlives them: it is counted by
/// them and by the worker.
struct ListenerRuntime {
  ListenerRuntime(std::shared_ptr<const SharedSnapshot> pinned, const config::Listener& listener,
                  std::shared_ptr<std::atomic<uint32_t>> connection_count)
      : snapshot(std::move(pinned)),
        config(listener),
        limits{listener.max_request_line, listener.max_header_bytes, listener.max_header_count,
               listener.underscores_in_headers},
        connections(std::move(connection_count)) {
    http2.max_concurrent_streams = listener.http2.max_concurrent_streams;
    http2.stream_window = listener.http2.stream_window;
    http2.connection_window = listener.http2.connection_window;
    const auto index = static_cast<size_t>(&listener - snapshot->config.listeners.data());
    if (index < snapshot->tls.listeners.size()) tls = snapshot->tls.listeners[index].get();
  }

  const std::shared_ptr<const SharedSnapshot> snapshot;  // keeps `config` alive
  const config::Listener& config;
  const http::Limits limits;
  http::http2::Settings http2;
  const net::TlsServerContext* tls = nullptr;  // nullptr: cleartext
  const std::shared_ptr<std::atomic<uint32_t>> connections;  // open ones, in all workers
  uint16_t port = 0;
  uint32_t pins = 1;

  /// What this peer says of others is believed.
  bool trusts(const net::SocketAddress& peer) const {
    return peer.is_unix() ? config.trust_unix : contains(config.trusted_proxies, peer.ip());
  }
  void unpin() {
    if (--pins == 0) delete this;
  }
};

}  // namespace tidegate::proxy
