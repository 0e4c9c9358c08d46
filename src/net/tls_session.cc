// SPDX-License-Identifier: Apache-2.0
#include "net/tls_session.h"

#include <openssl/ssl.h>

namespace tidegate::net {

void TlsSession::replace(ssl_session_st* session, const ssl_ctx_st* context,
                         std::string_view host) {
  if (session_ != nullptr) SSL_SESSION_free(session_);
  session_ = session;
  context_ = context;
  host_ = host;
}

}  // namespace tidegate::net
