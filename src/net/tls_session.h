// SPDX-License-Identifier: Apache-2.0
#pragma once
struct ssl_ctx_st;
struct ssl_session_st;

namespace tidegate::net {

/// The newest session with one endpoint, kept for the next handshake. One per endpoint and worker.
class TlsSession {
 public:
  TlsSession() = default;
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession() { replace(nullptr, nullptr); }

  /// nullptr unless it was made by the same context: what other rules verified is not resumed.
  ssl_session_st* get(const ssl_ctx_st* context) const {
    return context == context_ ? session_ : nullptr;
  }
  /// Takes over `session`.
  void replace(ssl_session_st* session, const ssl_ctx_st* context);

 private:
  const ssl_ctx_st* context_ = nullptr;
  ssl_session_st* session_ = nullptr;
};

}  // namespace tidegate::net
