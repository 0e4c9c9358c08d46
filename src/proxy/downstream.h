// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <memory>

#include "config/snapshot.h"
#include "http/codec.h"
#include "net/tls_certificate.h"
#include "proxy/forwarding.h"
#include "upstream/client_pools.h"

namespace tidegate::proxy {

class Exchange;

/// The client's side of an exchange, as the exchange sees it: implemented by the downstream
/// connection (and by test doubles). Exchanges stand in a list of their connection by this tag.
class Downstream {
 public:
  virtual http::ServerCodec& codec() = 0;
  /// Made anew at each call, with its text in `arena`: an idle connection keeps only what it must.
  virtual Peer peer(Arena& arena) const = 0;
  virtual const config::Listener& listener() const = 0;
  /// What was agreed with the client, made at the first call; nullptr: the connection is cleartext.
  virtual net::TlsFacts::Pin tls() { return nullptr; }
  /// The connection, for origins that want to be told of it. Made at the first call.
  virtual upstream::ProxiedClient& proxied_client() = 0;
  /// Output was appended: flush it at the end of this callback.
  virtual void schedule_flush() = 0;
  /// Bytes that the client has acknowledged. A system call.
  virtual uint64_t bytes_taken() const = 0;
  /// The client does not take this stream's response bytes at present.
  virtual bool write_blocked(http::StreamId stream) const = 0;
  /// Back-pressure: read nothing more of this stream's request until resumed.
  virtual void pause_request(http::StreamId stream) = 0;
  virtual void resume_request(http::StreamId stream) = 0;
  /// The stream's response is complete or given up; the exchange has left the connection's list of
  /// exchanges, and is not called again.
  virtual void stream_ended(http::StreamId stream) = 0;

 protected:
  ~Downstream() = default;
};

}  // namespace tidegate::proxy
