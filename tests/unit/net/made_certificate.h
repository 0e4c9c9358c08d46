// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace tidegate::net {

/// A self-signed certificate for one DNS name and its key, in files that live as long as it.
class MadeCertificate {
 public:
  explicit MadeCertificate(const std::string& name) {
    static int number = 0;
    const auto folder = std::filesystem::temp_directory_path();
    const std::string stem =
        "tidegate-unit-" + std::to_string(::getpid()) + "-" + std::to_string(number++);
    cert = (folder / (stem + ".pem")).string();
    key = (folder / (stem + ".key")).string();
    EVP_PKEY* pair = EVP_EC_gen("P-256");
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), number);
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    X509_set_pubkey(made, pair);
    X509_EXTENSION* san =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + name).c_str());
    X509_add_ext(made, san, -1);
    X509_EXTENSION_free(san);
    X509_sign(made, pair, EVP_sha256());
    std::FILE* file = std::fopen(cert.c_str(), "w");
    PEM_write_X509(file, made);
    std::fclose(file);
    file = std::fopen(key.c_str(), "w");
    PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(made);
    EVP_PKEY_free(pair);
  }
  ~MadeCertificate() {
    std::filesystem::remove(cert);
    std::filesystem::remove(key);
  }
  MadeCertificate(const MadeCertificate&) = delete;
  MadeCertificate& operator=(const MadeCertificate&) = delete;

  std::string cert;
  std::string key;
};

}  // namespace tidegate::net
