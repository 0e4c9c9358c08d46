// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/output_buffer.h"
#include "net/tls_certificate.h"

struct bio_st;
struct ssl_st;

namespace tidegate::net {

/// What TLS needs beside the connections' own state: lent by an event loop to one connection for
/// the length of one call. Made when the thread first meets TLS.
struct TlsBuffers {
  /// Ciphertext of one read. With what OpenSSL may still hold of a record that had begun before,
  /// its plaintext fits the loop's read buffer, so that nothing readable ever stays behind in
  /// OpenSSL.
  static constexpr size_t kReceive = 40 * 1024;
  static constexpr size_t kRecord = 16 * 1024;

  char received[kReceive];
  char record[kRecord];  // short segments become one record here
  std::string to_send;   // ciphertext on its way to the socket; empty between calls
};

/// Why a handshake did not come about.
struct TlsFailure {
  ErrorCode code = ErrorCode::TlsHandshakeFailed;  // or CertificateInvalid
  bool plain_http = false;                         // the client spoke HTTP without TLS
  bool no_protocol = false;                        // ALPN: the peer speaks none that was offered
  std::string detail;                              // OpenSSL's reason
};

/// One side of one TLS connection, without a socket: ciphertext in, plaintext out and the reverse.
/// The transport moves the ciphertext, so OpenSSL never waits for a socket, and what it has to say
/// in the middle of a read (key updates, alerts) is sent like everything else. Renegotiation is
/// off. While idle it holds no buffer (SSL_MODE_RELEASE_BUFFERS).
class Tls {
 public:
  enum class Progress : uint8_t {
    Done,
    Again,   // more ciphertext is needed
    Closed,  // the peer has said close_notify
    Broken,  // the stream is damaged, or ended without close_notify
  };
  struct Read {
    size_t bytes;
    Progress after;  // Done: nothing known to follow at present
  };

  /// Takes over `ssl`, whose role is set. `keep` lives until the handshake has ended.
  Tls(ssl_st* ssl, std::shared_ptr<const void> keep);
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  ~Tls();

  /// Ciphertext to work on, which stays where it is until the next call of `keep_input`.
  /// REQUIRES: !has_input().
  void give_input(std::string_view ciphertext) { input_ = ciphertext; }
  /// The peer sends no more.
  void give_eof() { eof_ = true; }
  bool has_input() const { return !input_.empty(); }
  /// Copies what has not been worked on, because its owner is about to reuse it.
  void keep_input();

  /// A client that has not begun: it speaks before it hears anything.
  bool speaks() const { return client_ && !begun_; }
  bool shaking_hands() const { return begun_ && !secured_; }
  /// The handshake has ended well.
  bool secured() const { return secured_; }
  /// Goes on with the handshake. Broken: `failure` says why.
  Progress handshake(std::string& to_send);
  TlsFailure failure();

  /// REQUIRES: secured(). Reads all that the input gives, and keeps the input that `size` has no
  /// room for.
  Read read(char* to, size_t size, std::string& to_send);
  /// A later `read` has something to say although no ciphertext comes.
  bool readable() const { return has_input() || ended_; }

  /// Encrypts at most about `budget` bytes of `output` and consumes them. False: broken.
  bool write(OutputBuffer& output, size_t budget, TlsBuffers& buffers);
  /// Says close_notify, once.
  void close_notify(std::string& to_send);

  /// Ciphertext that the kernel did not take.
  std::string& unsent() { return unsent_; }
  size_t bytes_unsent() const { return unsent_.size(); }
  bool all_sent() const { return unsent_.empty(); }

  // ---- what was agreed ----
  std::string_view alpn() const;  // "h2"; may be empty; lives as long as this object
  bool resumed() const;
  /// Made anew at each call.
  TlsFacts::Pin facts() const;

 private:
  friend struct TlsBio;
  bool encrypt(const char* from, size_t size);

  ssl_st* ssl_;
  std::shared_ptr<const void> keep_;
  std::string_view input_;
  std::string kept_;  // what input_ then refers to
  std::string unsent_;
  std::string* to_send_ = nullptr;  // during a call
  const bool client_;
  bool eof_ = false;
  bool begun_ = false;
  bool secured_ = false;
  bool ended_ = false;   // Closed or Broken was found
  bool failed_ = false;  // OpenSSL is not to be called again
  bool shut_ = false;    // close_notify was said
};

}  // namespace tidegate::net
