// SPDX-License-Identifier: Apache-2.0
#include "upstream/dialer.h"

#include "upstream/pool.h"

namespace tidegate::upstream {

Dialer::Dialer(net::Transport& transport, Pool& pool, Owner& owner)
    : transport_(transport), pool_(pool), owner_(owner) {
  transport_.handle_with(*this);
}

bool Dialer::start() {
  return connect_next();
}

// 1.
bool Dialer::connect_next() {
  const auto& addresses = pool_.endpoint().resolved;
  while (address_ < addresses.size()) {
    if (transport_.connect(addresses[address_++])) return true;
  }
  return false;
}

void Dialer::on_connected(bool ok) {
  if (ok) return secure();
  if (!connect_next()) owner_.on_dial_failed(ErrorCode::ConnectFailed, {});
}

// 2.
void Dialer::secure() {
  const Pool::Settings& settings = pool_.settings();
  if (settings.tls == nullptr) return owner_.on_dialed();
  transport_.start_tls(settings.tls->connect(settings.tls_name, pool_.tls_session()));
}

void Dialer::on_secured(const net::TlsFailure* failure) {
  if (failure == nullptr && agreed()) return owner_.on_dialed();
  const net::TlsFailure no_http2{.detail = "the origin does not agree on HTTP/2 (ALPN)"};
  const net::TlsFailure& why = failure == nullptr ? no_http2 : *failure;
  transport_.close();
  owner_.on_dial_failed(why.code, why.detail);
}

// What may be spoken otherwise is decided by the connection.
bool Dialer::agreed() const {
  return pool_.settings().protocol != Pool::Protocol::Http2 || transport_.tls()->alpn() == "h2";
}

void Dialer::on_eof() {
  on_broken();
}

void Dialer::on_broken() {
  transport_.close();
  owner_.on_dial_failed(ErrorCode::ConnectFailed, {});
}

}  // namespace tidegate::upstream
