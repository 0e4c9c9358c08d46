// SPDX-License-Identifier: Apache-2.0
#include "net/tls_certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <string_view>

#include "base/ip.h"
#include "base/strings.h"

namespace tidegate::net {
namespace {

std::string name_text(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  // Bytes beyond ASCII stay UTF-8; control bytes are escaped, so the text may stand in a header.
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<size_t>(size)};
}

std::string string_text(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

std::string ip_text(const ASN1_OCTET_STRING* bytes) {
  const unsigned char* from = ASN1_STRING_get0_data(bytes);
  std::array<uint8_t, 16> address{};
  const auto size = static_cast<size_t>(ASN1_STRING_length(bytes));
  if (size == 4) {
    address[10] = address[11] = 0xff;
    std::copy_n(from, size, address.begin() + 12);
  } else if (size == 16) {
    std::copy_n(from, size, address.begin());
  } else {
    return "";
  }
  return IpAddress::v6(address).to_string();
}

/// A name with a control byte or NUL is somebody's attempt to look like another: it is left out.
bool sound(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return !text.empty();
}

void add_san(const GENERAL_NAME& name, TlsCertificate& to) {
  std::string text;
  std::string_view kind;
  switch (name.type) {
    case GEN_DNS:
      kind = "DNS:";
      text = string_text(name.d.dNSName);
      if (sound(text)) to.names.push_back(ascii_lower(text));
      break;
    case GEN_URI:
      kind = "URI:";
      text = string_text(name.d.uniformResourceIdentifier);
      break;
    case GEN_EMAIL:
      kind = "email:";
      text = string_text(name.d.rfc822Name);
      break;
    case GEN_IPADD:
      kind = "IP:";
      text = ip_text(name.d.iPAddress);
      break;
    default:
      return;
  }
  if (sound(text)) to.sans.push_back(std::string(kind) + text);
}

void add_common_name(const X509& certificate, TlsCertificate& to) {
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return;
  const std::string name = string_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (sound(name)) to.names.push_back(ascii_lower(name));
}

int64_t unix_seconds(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return ::timegm(&parts);
}

}  // namespace

TlsCertificate describe_certificate(const x509_st& certificate) {
  TlsCertificate to;
  to.subject = name_text(X509_get_subject_name(&certificate));
  to.issuer = name_text(X509_get_issuer_name(&certificate));
  auto* sans = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  if (sans != nullptr) {
    for (int i = 0; i < sk_GENERAL_NAME_num(sans); ++i)
      add_san(*sk_GENERAL_NAME_value(sans, i), to);
    GENERAL_NAMES_free(sans);
  } else {
    add_common_name(certificate, to);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  X509_digest(&certificate, EVP_sha256(), digest.data(), &size);
  constexpr std::string_view kHex = "0123456789abcdef";
  for (unsigned i = 0; i < size; ++i) {
    to.fingerprint += kHex[digest[i] >> 4];
    to.fingerprint += kHex[digest[i] & 15];
  }
  to.not_before = unix_seconds(X509_get0_notBefore(&certificate));
  to.not_after = unix_seconds(X509_get0_notAfter(&certificate));
  // An extension that does not parse leaves its complaint behind.
  ERR_clear_error();
  return to;
}

TlsFacts::~TlsFacts() {
  if (certificate_ != nullptr) X509_free(certificate_);
}

const TlsCertificate* TlsFacts::certificate() const {
  if (certificate_ == nullptr) return nullptr;
  if (described_ == nullptr) {
    described_ = std::make_unique<const TlsCertificate>(describe_certificate(*certificate_));
  }
  return described_.get();
}

}  // namespace tidegate::net
