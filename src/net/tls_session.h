// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_session_st;

namespace tidegate::net {

/// The newest session with one endpoint, kept for the next handshake. One per endpoint and worker.
class TlsSession {
 public:
  TlsSession() = default;
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession() { replace(nullptr, nullptr, {}); }

  /// nullptr unless it was made by the same context for the same name: what other rules verified is
  /// not resumed. `host`: the name that is asked for; empty for an address.
  ssl_session_st* get(const ssl_ctx_st* context, std::string_view host) const {
    return context == context_ && host == host_ ? session_ : nullptr;
  }
  /// Takes over `session`.
  void replace(ssl_session_st* session, const ssl_ctx_st* context, std::string_view host);

 private:
  const ssl_ctx_st* context_ = nullptr;
  ssl_session_st* session_ = nullptr;
  std::string host_;
};

}  // namespace tidegate::net
