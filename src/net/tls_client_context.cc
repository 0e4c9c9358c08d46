// SPDX-License-Identifier: Apache-2.0
#include "net/tls_client_context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <new>

#include "base/ip.h"
#include "net/tls_error.h"
#include "net/tls_files.h"

namespace tidegate::net {
namespace {

int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* slot = static_cast<TlsSession*>(SSL_get_app_data(ssl));
  if (slot == nullptr) return 0;
  const char* host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  slot->replace(session, SSL_get_SSL_CTX(ssl), host == nullptr ? "" : host);
  return 1;  // it is ours now
}

// Once for the process: it is some twenty milliseconds' work. With nothing to be found it is empty,
// and trusts nobody.
X509_STORE* system_store() {
  struct Store {
    Store() {
      X509_STORE_set_default_paths(store);
      ERR_clear_error();
    }
    ~Store() { X509_STORE_free(store); }
    X509_STORE* store = X509_STORE_new();
  };
  static const Store kStore;
  return kStore.store;
}

}  // namespace

void TlsClientContext::load_system_certificates() {
  system_store();
}

Fallible<std::shared_ptr<const TlsClientContext>> TlsClientContext::make(
    const TlsClientSettings& settings) {
  const std::shared_ptr<TlsClientContext> made(new TlsClientContext);
  made->verify_ = settings.verify;
  // Before the files are read: one that changes in between is then loaded again.
  made->digest_ = digest_of({settings.verify ? "verify" : "trust", alpn_wire(settings.alpn)},
                            {settings.ca, settings.cert, settings.key});
  SSL_CTX* context = made->context_ = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) throw std::bad_alloc();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep_session);
  if (!settings.alpn.empty()) {
    const std::string wire = alpn_wire(settings.alpn);
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(wire.data()),
                            static_cast<unsigned>(wire.size()));
  }
  if (!settings.ca.empty()) {
    const auto trusted = trust_only(*context, settings.ca);
    if (!trusted) return tl::unexpected(trusted.error());
    // A CA file may name an intermediate certificate as all that is trusted.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  } else {
    made->by_system_ = settings.verify;
  }
  SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!settings.cert.empty()) {
    const auto used = use_certificate(*context, settings.cert, settings.key);
    if (!used) return tl::unexpected(used.error());
  }
  return std::shared_ptr<const TlsClientContext>(made);
}

TlsClientContext::~TlsClientContext() {
  SSL_CTX_free(context_);
}

std::unique_ptr<Tls> TlsClientContext::connect(const std::string& host, TlsSession& session,
                                               bool http1_only) const {
  SSL* ssl = SSL_new(context_);
  if (ssl == nullptr) throw std::bad_alloc();
  SSL_set_connect_state(ssl);
  SSL_set_app_data(ssl, &session);
  if (http1_only) {
    static const std::string kHttp1 = alpn_wire({"http/1.1"});
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(kHttp1.data()),
                        static_cast<unsigned>(kHttp1.size()));
  }
  const bool is_ip = IpAddress::parse(host).has_value();
  if (!is_ip) SSL_set_tlsext_host_name(ssl, host.c_str());
  if (by_system_) SSL_set1_verify_cert_store(ssl, system_store());
  if (verify_) {
    X509_VERIFY_PARAM* check = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(check, host.c_str())
                          : X509_VERIFY_PARAM_set1_host(check, host.data(), host.size());
    // A host that cannot be checked must not pass unchecked.
    if (set != 1) {
      SSL_free(ssl);
      return nullptr;
    }
  }
  if (auto* known = session.get(context_, is_ip ? "" : host); known != nullptr)
    SSL_set_session(ssl, known);
  ERR_clear_error();
  return std::make_unique<Tls>(ssl, shared_from_this());
}

}  // namespace tidegate::net
