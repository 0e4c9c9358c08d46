// SPDX-License-Identifier: Apache-2.0
#include "upstream/dialer.h"

namespace tidegate::upstream {

Dialer::Dialer(net::Transport& transport, const Endpoint& endpoint, Owner& owner)
    : transport_(transport), endpoint_(endpoint), owner_(owner) {
  transport_.handle_with(*this);
}

bool Dialer::start() { return connect_next(); }

bool Dialer::connect_next() {
  const auto& addresses = endpoint_.resolved;
  while (address_ < addresses.size()) {
    if (transport_.connect(addresses[address_++])) return true;
  }
  return false;
}

void Dialer::on_connected(bool ok) {
  if (ok) return owner_.on_dialed();
  if (!connect_next()) owner_.on_dial_failed(ErrorCode::ConnectFailed);
}

void Dialer::on_eof() { on_broken(); }

void Dialer::on_broken() {
  transport_.close();
  owner_.on_dial_failed(ErrorCode::ConnectFailed);
}

}  // namespace tidegate::upstream
