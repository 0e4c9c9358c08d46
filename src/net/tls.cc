// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "net/tls_error.h"

namespace tidegate::net {

/// OpenSSL's view of the connection: reads what the transport has received, and writes to what the
/// transport sends next. Neither ever fails or waits but for want of input.
struct TlsBio {
  static int read(BIO* bio, char* to, size_t size, size_t* done) {
    auto* tls = static_cast<Tls*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *done = std::min(size, tls->input_.size());
    if (*done == 0) {
      if (!tls->eof_) BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(to, tls->input_.data(), *done);
    tls->input_.remove_prefix(*done);
    return 1;
  }

  static int write(BIO* bio, const char* from, size_t size, size_t* done) {
    auto* tls = static_cast<Tls*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    // Outside a call that sends, there is nobody to send it to.
    if (tls->to_send_ != nullptr) tls->to_send_->append(from, size);
    *done = size;
    return 1;
  }

  static long ctrl(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return static_cast<Tls*>(BIO_get_data(bio))->eof_ ? 1 : 0;
    return 0;
  }

  static const BIO_METHOD* method() {
    static BIO_METHOD* const kMethod = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
      BIO_meth_set_read_ex(made, read);
      BIO_meth_set_write_ex(made, write);
      BIO_meth_set_ctrl(made, ctrl);
      return made;
    }();
    return kMethod;
  }
};

namespace {

/// For the length of a call, OpenSSL's output goes to `to`; and the error queue is this call's own.
class Sending {
 public:
  Sending(std::string*& slot, std::string& to) : slot_(slot) {
    slot_ = &to;
    ERR_clear_error();
  }
  ~Sending() { slot_ = nullptr; }
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;

 private:
  std::string*& slot_;
};

}  // namespace

Tls::Tls(ssl_st* ssl, std::shared_ptr<const void> keep)
    : ssl_(ssl), keep_(std::move(keep)), client_(SSL_is_server(ssl) == 0) {
  BIO* bio = BIO_new(TlsBio::method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
}

Tls::~Tls() {
  // A session stays good for resumption although its connection may end without close_notify.
  if (!failed_) SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl_);
}

void Tls::keep_input() {
  if (input_.empty()) {
    kept_ = std::string();
  } else if (kept_.empty() || input_.data() < kept_.data() ||
             input_.data() >= kept_.data() + kept_.size()) {
    kept_.assign(input_);
    input_ = kept_;
  }
}

Tls::Progress Tls::handshake(std::string& to_send) {
  const Sending sending(to_send_, to_send);
  begun_ = true;
  const int rc = SSL_do_handshake(ssl_);
  if (rc == 1) {
    secured_ = true;
    keep_.reset();
    return Progress::Done;
  }
  if (SSL_get_error(ssl_, rc) == SSL_ERROR_WANT_READ) return Progress::Again;
  failed_ = true;
  return Progress::Broken;
}

TlsFailure Tls::failure() {
  TlsFailure failure;
  const unsigned long first = ERR_peek_error();
  const int reason = ERR_GET_LIB(first) == ERR_LIB_SSL ? ERR_GET_REASON(first) : 0;
  failure.plain_http = reason == SSL_R_HTTP_REQUEST;
  failure.no_protocol = reason == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL;
  if (const long verified = SSL_get_verify_result(ssl_);
      reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
    failure.code = ErrorCode::CertificateInvalid;
    failure.detail = X509_verify_cert_error_string(verified);
    ERR_clear_error();
  } else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || first == 0) {
    failure.detail = "the peer closed the connection during the handshake";
    ERR_clear_error();
  } else {
    failure.detail = take_openssl_error();
  }
  return failure;
}

Tls::Read Tls::read(char* to, size_t size, std::string& to_send) {
  const Sending sending(to_send_, to_send);
  size_t total = 0;
  while (total < size) {
    if (failed_) {
      input_ = {};
      return {total, Progress::Broken};
    }
    // What follows a whole record can not be known before it comes.
    if (total > 0 && input_.empty() && SSL_pending(ssl_) == 0) break;
    size_t got = 0;
    if (SSL_read_ex(ssl_, to + total, size - total, &got) == 1) {
      total += got;
      continue;
    }
    const int error = SSL_get_error(ssl_, 0);
    if (error == SSL_ERROR_WANT_READ) break;
    // What follows is of no use, and its owner is about to reuse it.
    input_ = {};
    ended_ = true;
    if (error == SSL_ERROR_ZERO_RETURN) return {total, Progress::Closed};
    failed_ = true;
    return {total, Progress::Broken};
  }
  keep_input();
  return {total, Progress::Done};
}

bool Tls::encrypt(const char* from, size_t size) {
  size_t done = 0;
  if (SSL_write_ex(ssl_, from, size, &done) == 1 && done == size) return true;
  failed_ = ended_ = true;
  return false;
}

bool Tls::write(OutputBuffer& output, size_t budget, TlsBuffers& buffers) {
  if (failed_ || shut_) return false;
  const Sending sending(to_send_, buffers.to_send);
  std::array<iovec, OutputBlock::kSegments> parts;
  const size_t count = output.gather(parts);
  size_t taken = 0;
  for (size_t i = 0; i < count && taken < budget;) {
    iovec& part = parts[i];
    const char* from = static_cast<const char*>(part.iov_base);
    size_t size = std::min(part.iov_len, TlsBuffers::kRecord);
    if (size == TlsBuffers::kRecord || i + 1 == count) {
      part.iov_base = static_cast<char*>(part.iov_base) + size;
      part.iov_len -= size;
      if (part.iov_len == 0) ++i;
    } else {
      // Short ones share a record: its header and tag, and its share of a send, cost more than
      // this.
      for (size = 0; i < count && size < TlsBuffers::kRecord;) {
        const size_t piece = std::min(parts[i].iov_len, TlsBuffers::kRecord - size);
        std::memcpy(buffers.record + size, parts[i].iov_base, piece);
        size += piece;
        parts[i].iov_base = static_cast<char*>(parts[i].iov_base) + piece;
        parts[i].iov_len -= piece;
        if (parts[i].iov_len == 0) ++i;
      }
      from = buffers.record;
    }
    if (!encrypt(from, size)) return false;
    taken += size;
  }
  output.consume(taken);
  return true;
}

void Tls::close_notify(std::string& to_send) {
  if (!secured_ || failed_ || shut_) return;
  shut_ = true;
  const Sending sending(to_send_, to_send);
  SSL_shutdown(ssl_);
}

std::string_view Tls::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool Tls::resumed() const {
  return SSL_session_reused(ssl_) == 1;
}

TlsFacts::Pin Tls::facts() const {
  auto* facts = new TlsFacts;
  facts->version = SSL_get_version(ssl_);
  facts->cipher = SSL_get_cipher_name(ssl_);
  if (const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name)) facts->sni = name;
  facts->alpn = alpn();
  facts->certificate_ = SSL_get1_peer_certificate(ssl_);
  return facts->pin();
}

}  // namespace tidegate::net
