// SPDX-License-Identifier: Apache-2.0
// PEM files into OpenSSL's objects, with errors that say what is wrong with which file and what to
// do. Blocking. Within net only.
#pragma once
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace tidegate::net {

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;

/// The certificates of a PEM file in its order; at least one.
Fallible<std::vector<X509Ptr>> read_certificates(const std::string& path);
/// The private key of a PEM file, which must not be encrypted.
Fallible<KeyPtr> read_key(const std::string& path);

/// Certificate (with its chain) and key into `context`. Gives the certificate.
Fallible<X509Ptr> use_certificate(SSL_CTX& context, const std::string& cert,
                                  const std::string& key);
/// The certificates of `path` are those that the peer's is verified against.
Fallible<std::vector<X509Ptr>> trust_only(SSL_CTX& context, const std::string& path);

/// SHA-256 over `settings` and what stands in `files`, paths included; an empty path is no file.
std::string digest_of(const std::vector<std::string>& settings,
                      const std::vector<std::string>& files);

/// "http/1.1" and the like in ALPN's wire form.
std::string alpn_wire(const std::vector<std::string>& names);

}  // namespace tidegate::net
