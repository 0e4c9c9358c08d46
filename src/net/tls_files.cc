// SPDX-License-Identifier: Apache-2.0
#include "net/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.h"
#include "net/tls_error.h"

namespace tidegate::net {
namespace {

using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free>>;

/// A PEM file's text, wiped when it goes, since it may hold a key.
class PemFile {
 public:
  static Fallible<PemFile> read(const std::string& path) {
    auto text = read_regular_file(path);
    if (!text) return tl::unexpected(path + " " + text.error());
    return PemFile(std::move(*text));
  }
  PemFile(PemFile&&) = default;
  ~PemFile() {
    if (text_ != nullptr && !text_->empty()) OPENSSL_cleanse(text_->data(), text_->size());
  }
  BIO* bio() { return bio_.get(); }

 private:
  explicit PemFile(std::string text)
      : text_(std::make_unique<std::string>(std::move(text))),
        bio_(BIO_new_mem_buf(text_->data(), static_cast<int>(text_->size()))) {
    ERR_clear_error();
  }
  std::unique_ptr<std::string> text_;
  BioPtr bio_;
};

bool is_no_start_line(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

}  // namespace

Fallible<std::vector<X509Ptr>> read_certificates(const std::string& path) {
  auto file = PemFile::read(path);
  if (!file) return tl::unexpected(file.error());
  std::vector<X509Ptr> all;
  while (X509* one = PEM_read_bio_X509_AUX(file->bio(), nullptr, nullptr, nullptr)) {
    all.emplace_back(one);
  }
  const unsigned long last = ERR_peek_last_error();
  if (!is_no_start_line(last)) {
    return tl::unexpected(path + " holds a broken certificate: " + take_openssl_error());
  }
  ERR_clear_error();
  if (!all.empty()) return all;
  return tl::unexpected(
      path + " holds no certificate: it takes PEM, with a line -----BEGIN CERTIFICATE-----");
}

Fallible<KeyPtr> read_key(const std::string& path) {
  auto file = PemFile::read(path);
  if (!file) return tl::unexpected(file.error());
  bool encrypted = false;
  const auto no_passphrase = [](char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
  };
  KeyPtr key(PEM_read_bio_PrivateKey(file->bio(), nullptr, no_passphrase, &encrypted));
  if (key != nullptr) return key;
  if (encrypted) {
    ERR_clear_error();
    return tl::unexpected(
        path +
        " is encrypted, and there is nobody to ask for its passphrase: decrypt it "
        "with `openssl pkey -in ENCRYPTED -out PLAIN`");
  }
  const unsigned long last = ERR_peek_last_error();
  if (is_no_start_line(last) || ERR_GET_LIB(last) == ERR_LIB_OSSL_DECODER) {
    ERR_clear_error();
    return tl::unexpected(
        path + " holds no private key: it takes PEM, with a line -----BEGIN PRIVATE KEY-----");
  }
  return tl::unexpected(path + " holds a broken private key: " + take_openssl_error());
}

Fallible<X509Ptr> use_certificate(SSL_CTX& context, const std::string& cert,
                                  const std::string& key) {
  auto chain = read_certificates(cert);
  if (!chain) return tl::unexpected(chain.error());
  auto private_key = read_key(key);
  if (!private_key) return tl::unexpected(private_key.error());
  if (X509_check_private_key(chain->front().get(), private_key->get()) != 1) {
    ERR_clear_error();
    return tl::unexpected(key + " is not the key of the certificate in " + cert +
                          ": give the two that were made together, the server's own certificate "
                          "first in its file");
  }
  if (SSL_CTX_use_certificate(&context, chain->front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(&context, private_key->get()) != 1) {
    return tl::unexpected(cert + " cannot be used: " + take_openssl_error());
  }
  SSL_CTX_clear_chain_certs(&context);
  for (size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(&context, (*chain)[i].get()) != 1) {
      return tl::unexpected(cert + ": its chain cannot be used: " + take_openssl_error());
    }
  }
  return std::move(chain->front());
}

Fallible<std::vector<X509Ptr>> trust_only(SSL_CTX& context, const std::string& path) {
  auto all = read_certificates(path);
  if (!all) return all;
  X509_STORE* store = SSL_CTX_get_cert_store(&context);
  for (const X509Ptr& one : *all) {
    if (X509_STORE_add_cert(store, one.get()) != 1) {
      return tl::unexpected(path + ": " + take_openssl_error());
    }
  }
  return all;
}

std::string digest_of(const std::vector<std::string>& settings,
                      const std::vector<std::string>& files) {
  const std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>> hash(EVP_MD_CTX_new());
  EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
  const auto add = [&](const std::string& text) {
    // With its final NUL, so that texts do not run into each other.
    EVP_DigestUpdate(hash.get(), text.c_str(), text.size() + 1);
  };
  for (const std::string& one : settings) add(one);
  for (const std::string& path : files) {
    add(path);
    if (path.empty()) continue;
    // One that cannot be read counts as an empty one: the change is noticed, and loading says why.
    add(read_regular_file(path).value_or(std::string()));
  }
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  EVP_DigestFinal_ex(hash.get(), reinterpret_cast<unsigned char*>(digest.data()), &size);
  digest.resize(size);
  return digest;
}

std::string alpn_wire(const std::vector<std::string>& names) {
  std::string wire;
  for (const std::string& name : names) {
    wire += static_cast<char>(name.size());
    wire += name;
  }
  return wire;
}

}  // namespace tidegate::net
