// SPDX-License-Identifier: Apache-2.0
#include "upstream/dialer.h"

#include "upstream/pool.h"

namespace tidegate::upstream {

Dialer::Dialer(net::Transport& transport, Pool& pool, Owner& owner)
    : transport_(transport),
      pool_(pool),
      owner_(owner),
      timer_([](void* self) { static_cast<Dialer*>(self)->on_address_timeout(); }, this),
      fallback_(pool.endpoint().fallback.get()),
      first_(pool.endpoint().good_address.load(std::memory_order_relaxed)) {
  transport_.handle_with(*this);
}

bool Dialer::start() {
  return connect_next();
}

size_t Dialer::address_count() const {
  return pool_.endpoint().resolved.size() + (fallback_ ? 1 : 0);
}

// 1.
bool Dialer::connect_next() {
  const auto& addresses = pool_.endpoint().resolved;
  timer_.disarm();
  const size_t count = address_count();
  while (tried_ < count) {
    const size_t index = (first_ + tried_++) % count;
    if (!transport_.connect(index < addresses.size() ? addresses[index] : *fallback_)) continue;
    if (tried_ < count) {
      const auto share = pool_.settings().connect_timeout / count;
      transport_.loop().timers().arm(timer_, share);
    }
    return true;
  }
  return false;
}

void Dialer::on_address_timeout() {
  transport_.close();
  if (!connect_next()) owner_.on_dial_failed(unreachable(), {});
}

ErrorCode Dialer::unreachable() const {
  return pool_.endpoint().proxy ? ErrorCode::OutboundProxyUnreachable : ErrorCode::ConnectFailed;
}

ErrorCode Dialer::late() const {
  const bool for_proxy = pool_.endpoint().proxy && !way_open_;
  return for_proxy ? ErrorCode::OutboundProxyTimeout : ErrorCode::ConnectTimeout;
}

void Dialer::on_connected(bool ok) {
  if (ok) {
    timer_.disarm();
    Endpoint& endpoint = pool_.endpoint();
    const size_t index = (first_ + tried_ - 1) % address_count();
    if (index != first_) endpoint.good_address.store(static_cast<uint32_t>(index));
    return by_tunnel() ? ask_for_tunnel() : introduce();
  }
  if (!connect_next()) owner_.on_dial_failed(unreachable(), {});
}

bool Dialer::by_tunnel() const {
  // What speaks no HTTP can not ask the proxy in absolute form.
  const bool bare = pool_.settings().protocol == Pool::Protocol::Tunnel;
  return pool_.endpoint().tunnelled || (bare && pool_.endpoint().proxy);
}

// 2.
void Dialer::ask_for_tunnel() {
  tunnel_ = std::make_unique<TunnelRequest>();
  // What follows the answer is not for this step to read.
  transport_.peek(true);
  const std::string target = pool_.endpoint().config.address.to_string();
  transport_.output().append(TunnelRequest::text(target, pool_.endpoint().proxy->authorization));
  transport_.schedule_flush();
}

void Dialer::on_bytes(std::string_view bytes) {
  if (tunnel_ != nullptr) read_tunnel_reply(bytes);
}

void Dialer::read_tunnel_reply(std::string_view bytes) {
  size_t taken = 0;
  const TunnelRequest::State state = tunnel_->receive(bytes, taken);
  transport_.take(taken);
  switch (state) {
    case TunnelRequest::State::More:
    case TunnelRequest::State::Interim:
      return;
    case TunnelRequest::State::Open:
      transport_.peek(false);
      tunnel_.reset();
      return introduce();
    case TunnelRequest::State::Unauthorized:
      return tunnel_failed(ErrorCode::OutboundProxyAuth, tunnel_->detail());
    case TunnelRequest::State::Refused:
    case TunnelRequest::State::Malformed:
      return tunnel_failed(ErrorCode::OutboundProxyRefused, tunnel_->detail());
  }
}

void Dialer::tunnel_failed(ErrorCode code, std::string_view detail) {
  transport_.close();
  owner_.on_dial_failed(code, detail);
}

// 3. Before TLS, in a packet of its own; else with the first request.
void Dialer::introduce() {
  way_open_ = true;
  if (!pool_.by_client()) return secure();
  transport_.output().append(pool_.proxy_header());
  if (pool_.settings().tls != nullptr) transport_.flush();
  if (transport_.open()) secure();
}

// 4.
void Dialer::secure() {
  const Pool::Settings& settings = pool_.settings();
  if (settings.tls == nullptr) return owner_.on_dialed();
  as_learnt_ = pool_.http1_learnt();
  const bool http1 = settings.http1_only || as_learnt_;
  auto tls = settings.tls->connect(settings.tls_name, pool_.tls_session(), http1);
  if (tls == nullptr) {
    transport_.close();
    return owner_.on_dial_failed(ErrorCode::CertificateInvalid,
                                 "no certificate can be for that name: " + settings.tls_name);
  }
  transport_.start_tls(std::move(tls));
}

void Dialer::on_secured(const net::TlsFailure* failure) {
  // HTTP/2 was offered before another connection learnt that the origin wants HTTP/1.1.
  const bool crossed =
      failure == nullptr && !as_learnt_ && pool_.http1_learnt() && transport_.tls()->alpn() == "h2";
  if (crossed) {
    transport_.close();
    return owner_.on_dial_failed(ErrorCode::StreamRefused, "the origin asks for HTTP/1.1");
  }
  if (failure == nullptr && agreed()) return owner_.on_dialed();
  const bool http1_only = pool_.settings().http1_only;
  const net::TlsFailure disagreed{
      .no_protocol = true,
      .detail = http1_only ? "the origin does not agree on HTTP/1.1 (ALPN), as an upgrade needs"
                           : "the origin does not agree on HTTP/2 (ALPN)"};
  const net::TlsFailure& why = failure == nullptr ? disagreed : *failure;
  transport_.close();
  if (as_learnt_ && why.no_protocol) pool_.forget_http1();
  // That it speaks HTTP/2 alone is no fault of the endpoint; whatever else fails may be.
  const bool no_upgrades = http1_only && why.no_protocol;
  owner_.on_dial_failed(no_upgrades ? ErrorCode::UpgradeUnsupported : why.code, why.detail);
}

// What may be spoken otherwise is decided by the connection.
bool Dialer::agreed() const {
  const Pool::Settings& settings = pool_.settings();
  if (settings.http1_only) return transport_.tls()->alpn() == "http/1.1";
  if (as_learnt_) return transport_.tls()->alpn() != "h2";
  return settings.protocol != Pool::Protocol::Http2 || transport_.tls()->alpn() == "h2";
}

void Dialer::on_eof() {
  on_broken();
}

void Dialer::on_broken() {
  if (tunnel_ != nullptr) {
    return tunnel_failed(ErrorCode::OutboundProxyRefused, "the outbound proxy hung up");
  }
  transport_.close();
  owner_.on_dial_failed(unreachable(), {});
}

}  // namespace tidegate::upstream
