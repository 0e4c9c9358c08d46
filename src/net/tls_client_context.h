// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls.h"
#include "net/tls_session.h"

struct ssl_ctx_st;

namespace tidegate::net {

struct TlsClientSettings {
  bool verify = true;
  std::string ca;    // path of what the origin's certificate must come from; empty: the system's
  std::string cert;  // path of the client certificate, with its chain; empty: none
  std::string key;   // path
  std::vector<std::string> alpn;  // the most wanted first
  bool operator==(const TlsClientSettings&) const = default;
};

/// What the TLS connections to a cluster's origins share. Immutable, and shared by all workers; a
/// connection keeps the one it began with. TLS 1.2 and 1.3.
class TlsClientContext : public std::enable_shared_from_this<TlsClientContext> {
 public:
  /// Reads the files; blocking.
  static Fallible<std::shared_ptr<const TlsClientContext>> make(const TlsClientSettings& settings);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  /// Reads the system's certificates, which are shared by all contexts without a `ca`, unless that
  /// has been done; blocking. Otherwise the first connection that needs them does so.
  static void load_system_certificates();

  /// The client's side of a connection that begins. `host`, a name or an IP address, is what the
  /// certificate must be for; a name is sent as SNI too. `session` is resumed if it can be, and
  /// gets what the origin gives for the next time; it outlives the connection.
  std::unique_ptr<Tls> connect(const std::string& host, TlsSession& session,
                               bool http1_only = false) const;
  /// Equal for contexts that were made alike from files alike.
  const std::string& digest() const { return digest_; }

 private:
  TlsClientContext() = default;

  ssl_ctx_st* context_ = nullptr;
  bool verify_ = true;
  bool by_system_ = false;  // against the system's certificates
  std::string digest_;
};

}  // namespace tidegate::net
