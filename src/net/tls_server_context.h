// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls.h"
#include "net/tls_names.h"
#include "net/tls_ticket_keys.h"

struct ssl_ctx_st;

namespace tidegate::net {

struct TlsServerSettings {
  struct Certificate {
    std::string cert;  // path; the server's own first, then its chain
    std::string key;   // path
  };
  enum class ClientVerify : uint8_t { None, Optional, Require };

  std::vector<Certificate> certificates;  // the first is for clients whose name none matches
  std::string client_ca;                  // path; what client certificates must come from
  ClientVerify client_verify = ClientVerify::None;
  bool tls13_only = false;
  std::vector<std::string> alpn;  // "h2", "http/1.1", the most wanted first
  std::string name;               // sessions are resumed between contexts of the same name only
};

/// What a listener's TLS connections share: certificates, client verification, ticket keys.
/// Immutable, and shared by all workers; a connection keeps the one it began with. Ciphers and
/// curves are those of Mozilla's intermediate level without DHE, forward secret and authenticated
/// all.
class TlsServerContext : public std::enable_shared_from_this<TlsServerContext> {
 public:
  struct Loaded {
    std::string path;
    TlsCertificate certificate;
  };
  struct Error {
    size_t certificate;  // index in the settings; their number: it is client_ca
    std::string message;
  };

  /// Reads the files; blocking.
  static tl::expected<std::shared_ptr<const TlsServerContext>, Error> make(
      const TlsServerSettings& settings, std::shared_ptr<const TlsTicketKeys> keys);
  ~TlsServerContext();
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;

  /// The server's side of a connection that begins.
  std::unique_ptr<Tls> accept() const;
  /// In the order of the settings.
  const std::vector<Loaded>& loaded() const { return loaded_; }
  /// Equal for contexts that were made alike from files alike.
  const std::string& digest() const { return digest_; }

 private:
  friend struct TlsServerCallbacks;
  TlsServerContext() = default;
  void share_names();
  bool stands_in(size_t one, size_t other) const;

  std::shared_ptr<const TlsTicketKeys> keys_;
  std::vector<ssl_ctx_st*> contexts_;  // one per certificate
  TlsNames names_;                     // → contexts_
  std::string alpn_;                   // wire form
  std::vector<Loaded> loaded_;
  std::string digest_;
};

}  // namespace tidegate::net
