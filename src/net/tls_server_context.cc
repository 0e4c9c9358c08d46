// SPDX-License-Identifier: Apache-2.0
#include "net/tls_server_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "net/tls_error.h"
#include "net/tls_files.h"

namespace tidegate::net {
namespace {

constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr long kSessionSeconds = 2 * 60 * 60;  // as long as every ticket's key is kept for sure

}  // namespace

struct TlsServerCallbacks {
  static const TlsServerContext& of(SSL* ssl) {
    return *static_cast<const TlsServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  }

  static int choose_certificate(SSL* ssl, int*, void*) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_OK;
    const TlsServerContext& context = of(ssl);
    // A name that none has gets the first, whose mismatch the client then can tell its user.
    const size_t index = context.names_.find(name).value_or(0);
    if (index > 0) SSL_set_SSL_CTX(ssl, context.contexts_[index]);
    return SSL_TLSEXT_ERR_OK;
  }

  static int choose_alpn(SSL* ssl, const unsigned char** to, unsigned char* size,
                         const unsigned char* offered, unsigned offered_size, void*) {
    const std::string& wanted = of(ssl).alpn_;
    unsigned char* chosen = nullptr;
    const int rc =
        SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(wanted.data()),
                              static_cast<unsigned>(wanted.size()), offered, offered_size);
    *to = chosen;
    // RFC 7301 3.2: nothing in common ends the handshake.
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  static bool prepare(const TlsTicketKeys::Key& key, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, bool seal) {
    static EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.mac.data()), key.mac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_CipherInit_ex(cipher, kCipher, nullptr, key.cipher.data(), iv, seal ? 1 : 0) == 1 &&
           EVP_MAC_CTX_set_params(mac, parameters) == 1;
  }

  /// 1: the ticket is good; 2: and is to be replaced; 0: it is not ours, or too old.
  static int open_or_seal(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                          EVP_MAC_CTX* mac, int seal) {
    const auto keys = of(ssl).keys_->keys();
    if (seal != 0) {
      const TlsTicketKeys::Key& key = *keys->front();
      std::copy(key.name.begin(), key.name.end(), name);
      if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
      return prepare(key, iv, cipher, mac, true) ? 1 : -1;
    }
    for (const auto& key : *keys) {
      if (std::memcmp(key->name.data(), name, key->name.size()) != 0) continue;
      if (!prepare(*key, iv, cipher, mac, false)) return -1;
      // TLS 1.3 clients use a ticket once, so that they cannot be followed by it.
      const bool renew = key != keys->front() || SSL_version(ssl) >= TLS1_3_VERSION;
      return renew ? 2 : 1;
    }
    return 0;
  }

  /// A client is let in on the word of its certificate no longer than that is valid.
  static SSL_TICKET_RETURN judge_ticket(SSL*, SSL_SESSION* session, const unsigned char*, size_t,
                                        SSL_TICKET_STATUS status, void*) {
    const bool opened = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (!opened) return SSL_TICKET_RETURN_IGNORE_RENEW;
    const X509* client = SSL_SESSION_get0_peer(session);
    if (client != nullptr && X509_cmp_current_time(X509_get0_notAfter(client)) <= 0) {
      return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
  }

  static void set_session_id_context(SSL_CTX& context, const TlsServerSettings& settings,
                                     const std::vector<X509Ptr>& client_cas) {
    // A session carries who the client is, so it must not be good where others would be let in.
    std::string all =
        settings.name +
        (settings.client_verify == TlsServerSettings::ClientVerify::Require ? " require " : " ");
    for (const X509Ptr& ca : client_cas) all += describe_certificate(*ca).fingerprint;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(all.data(), all.size(), digest, &size, EVP_sha256(), nullptr);
    SSL_CTX_set_session_id_context(&context, digest, size);
  }

  /// What is the same for every certificate. Gives an error of client_ca, or nothing.
  static std::string configure(SSL_CTX& context, const TlsServerSettings& settings) {
    SSL_CTX_set_min_proto_version(&context, settings.tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(&context, kCiphers);
    SSL_CTX_set1_groups_list(&context, kGroups);
    SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(&context, kSessionSeconds);
    SSL_CTX_set_num_tickets(&context, 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(&context, open_or_seal);
    SSL_CTX_set_session_ticket_cb(&context, nullptr, judge_ticket, nullptr);
    SSL_CTX_set_tlsext_servername_callback(&context, choose_certificate);
    if (!settings.alpn.empty()) SSL_CTX_set_alpn_select_cb(&context, choose_alpn, nullptr);
    std::vector<X509Ptr> cas;
    if (settings.client_verify != TlsServerSettings::ClientVerify::None) {
      auto trusted = trust_only(context, settings.client_ca);
      if (!trusted) return trusted.error();
      cas = std::move(*trusted);
      for (const X509Ptr& ca : cas) SSL_CTX_add_client_CA(&context, ca.get());
      const bool require = settings.client_verify == TlsServerSettings::ClientVerify::Require;
      SSL_CTX_set_verify(
          &context, SSL_VERIFY_PEER | (require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    }
    set_session_id_context(context, settings, cas);
    return {};
  }
};

// Of two certificates for the same names, one with an RSA and one with an EC key, OpenSSL gives
// each client the one it can verify, if the context has both.
void TlsServerContext::share_names() {
  for (size_t i = 0; i < contexts_.size(); ++i) {
    for (size_t j = 0; j < contexts_.size(); ++j) {
      if (i == j || !stands_in(i, j)) continue;
      STACK_OF(X509)* chain = nullptr;
      SSL_CTX_get0_chain_certs(contexts_[j], &chain);
      SSL_CTX_use_cert_and_key(contexts_[i], SSL_CTX_get0_certificate(contexts_[j]),
                               SSL_CTX_get0_privatekey(contexts_[j]), chain, 0);
    }
  }
}

// Certificate `other` is for every name of `one`, with a key of another type.
bool TlsServerContext::stands_in(size_t one, size_t other) const {
  const auto type = [this](size_t index) {
    return EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(contexts_[index]));
  };
  if (type(one) == type(other)) return false;
  const TlsCertificate& mine = loaded_[one].certificate;
  const TlsCertificate& theirs = loaded_[other].certificate;
  const auto holds = [](const std::vector<std::string>& all, const std::vector<std::string>& some) {
    return std::ranges::all_of(some, [&all](const std::string& name) {
      return std::ranges::find(all, name) != all.end();
    });
  };
  return !mine.names.empty() && holds(theirs.names, mine.names) && holds(theirs.sans, mine.sans);
}

tl::expected<std::shared_ptr<const TlsServerContext>, TlsServerContext::Error>
TlsServerContext::make(const TlsServerSettings& settings,
                       std::shared_ptr<const TlsTicketKeys> keys) {
  const std::shared_ptr<TlsServerContext> made(new TlsServerContext);
  made->keys_ = std::move(keys);
  made->alpn_ = alpn_wire(settings.alpn);
  // Before they are read: files that change in between are then loaded again, not taken for the
  // same.
  std::vector<std::string> paths{settings.client_ca};
  for (const auto& one : settings.certificates) paths.insert(paths.end(), {one.cert, one.key});
  made->digest_ = digest_of({settings.name, made->alpn_, settings.tls13_only ? "1.3" : "1.2",
                             std::to_string(static_cast<int>(settings.client_verify))},
                            paths);
  for (size_t i = 0; i < settings.certificates.size(); ++i) {
    const auto& pair = settings.certificates[i];
    SslContextPtr context(SSL_CTX_new(TLS_server_method()));
    if (context == nullptr) throw std::bad_alloc();
    SSL_CTX_set_app_data(context.get(), made.get());
    if (std::string error = TlsServerCallbacks::configure(*context, settings); !error.empty()) {
      return tl::unexpected(Error{settings.certificates.size(), std::move(error)});
    }
    auto certificate = use_certificate(*context, pair.cert, pair.key);
    if (!certificate) return tl::unexpected(Error{i, certificate.error()});
    made->loaded_.push_back({pair.cert, describe_certificate(**certificate)});
    const size_t index = made->contexts_.size();
    made->contexts_.push_back(context.release());
    for (const std::string& name : made->loaded_.back().certificate.names) {
      made->names_.add(name, index);
    }
  }
  made->share_names();
  return std::shared_ptr<const TlsServerContext>(made);
}

TlsServerContext::~TlsServerContext() {
  for (SSL_CTX* context : contexts_) SSL_CTX_free(context);
}

std::unique_ptr<Tls> TlsServerContext::accept() const {
  SSL* ssl = SSL_new(contexts_.front());
  if (ssl == nullptr) throw std::bad_alloc();
  SSL_set_accept_state(ssl);
  return std::make_unique<Tls>(ssl, shared_from_this());
}

}  // namespace tidegate::net
