// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct x509_st;

namespace tidegate::net {

/// What people and scripts want to know of a certificate.
struct TlsCertificate {
  std::string subject;  // RFC 2253: "CN=alice,O=Example"
  std::string issuer;
  std::vector<std::string> sans;   // "DNS:a.example", "URI:spiffe://x", "IP:10.0.0.1", "email:a@b"
  std::vector<std::string> names;  // DNS names in lower case; the common name where there is no SAN
  std::string fingerprint;         // SHA-256, 64 lower-case hex digits
  int64_t not_before = 0;          // Unix seconds
  int64_t not_after = 0;
};

TlsCertificate describe_certificate(const x509_st& certificate);

/// What was agreed with a peer, good also when the connection has gone. Immutable and counted, in
/// one thread: a connection shares one with those who look at it. The certificate is taken apart
/// only when it is asked for.
class TlsFacts {
 public:
  struct Unpin {
    void operator()(const TlsFacts* facts) const {
      if (--facts->pins_ == 0) delete facts;
    }
  };
  using Pin = std::unique_ptr<const TlsFacts, Unpin>;

  TlsFacts() = default;
  TlsFacts(const TlsFacts&) = delete;
  TlsFacts& operator=(const TlsFacts&) = delete;

  Pin pin() const {
    ++pins_;
    return Pin(this);
  }

  std::string_view version;  // "TLSv1.3"; these two are static
  std::string_view cipher;   // "TLS_AES_256_GCM_SHA384"
  std::string sni;           // as the client gave it; may be empty
  std::string alpn;          // "h2"; may be empty
  /// The peer's, which has been verified. nullptr: it gave none.
  const TlsCertificate* certificate() const;

 private:
  friend class Tls;
  ~TlsFacts();

  x509_st* certificate_ = nullptr;
  mutable std::unique_ptr<const TlsCertificate> described_;
  mutable uint32_t pins_ = 0;
};

}  // namespace tidegate::net
