// SPDX-License-Identifier: Apache-2.0
#include "proxy/opening.h"

#include <algorithm>

#include "net/proxy_protocol.h"
#include "telemetry/log.h"

namespace tidegate::proxy {
namespace {

// As for a connection's end (downstream_connection.cc).
constexpr auto kLinger = std::chrono::seconds(2);
constexpr size_t kLingerBytes = 256 * 1024;

constexpr std::string_view kPlainHttp =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 42\r\n"
    "Connection: close\r\n\r\nThis port speaks HTTPS: ask for https://.\n";
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 3.4

}  // namespace

Opening::Opening(net::Transport& transport, const ListenerRuntime& listener, Owner& owner)
    : transport_(transport),
      listener_(listener),
      owner_(owner),
      timer_([](void* self) { static_cast<Opening*>(self)->on_timeout(); }, this),
      header_due_(listener.config.proxy_protocol) {
  transport_.handle_with(*this);
  // The header stands before TLS, whose transport reads its bytes itself: take none of them.
  transport_.peek(header_due_);
}

void Opening::start() {
  if (header_due_ || listener_.tls == nullptr) {
    transport_.start_reading();
    arm(listener_.config.head_timeout);
  } else {
    secure();
  }
}

void Opening::limit(Duration longest) {
  longest_ = longest;
  const net::Tls* const tls = transport_.tls();
  if (tls == nullptr || !tls->shaking_hands()) arm(longest);
}

void Opening::arm(Duration after) {
  transport_.loop().timers().arm(timer_, std::min(after, longest_));
}

void Opening::on_bytes(std::string_view bytes) {
  if (lingering_) {
    dropped_ += bytes.size();
    if (dropped_ > kLingerBytes) transport_.pause_reading();
    return;
  }
  if (header_due_) return read_proxy_header(bytes);
  if (transport_.tls() != nullptr) return finish({.protocol = Protocol::Http1, .bytes = bytes});
  if (waiting_.empty()) return choose_by_preface(bytes);
  waiting_.append(bytes);
  choose_by_preface(waiting_);
}

// 1. The listener has let in only peers whose word counts.
void Opening::read_proxy_header(std::string_view bytes) {
  const size_t before = waiting_.size();
  waiting_.append(bytes.substr(0, net::kMaxProxyHeader));
  const net::ProxyParsed parsed = net::parse_proxy_header(waiting_);
  if (parsed.state == net::ProxyParse::Malformed) {
    log::log_limited("proxy_protocol", log::Level::Warn, "connection closed: PROXY protocol",
                     {{"listener", listener_.config.name}, {"error", parsed.fault}});
    return owner_.on_opening_failed();
  }
  // Of a header that is not whole, all that has come is part.
  const bool done = parsed.state == net::ProxyParse::Done;
  transport_.take((done ? parsed.size : waiting_.size()) - before);
  if (!done) return;
  waiting_ = std::string();  // `= {}` would keep the memory
  header_due_ = false;
  transport_.peek(false);
  arm(listener_.config.head_timeout);
  if (parsed.header.has_addresses) {
    owner_.on_client_named(parsed.header.source, parsed.header.destination.port());
  } else if (!parsed.header.local) {
    owner_.on_client_unknown();
  }
  if (listener_.tls != nullptr) secure();
}

// 2.
void Opening::secure() {
  arm(listener_.config.tls->handshake_timeout);
  transport_.start_tls(listener_.tls->accept());
}

void Opening::on_secured(const net::TlsFailure* failure) {
  if (failure == nullptr) {
    arm(listener_.config.head_timeout);
    if (transport_.tls()->alpn() == "h2") finish({.protocol = Protocol::Http2, .bytes = {}});
    return;
  }
  log::log_limited("tls_handshake", log::Level::Debug, "handshake with a client failed",
                   {{"listener", listener_.config.name}, {"detail", failure->detail}});
  if (failure->plain_http) transport_.output().append(kPlainHttp);
  linger();
}

// So that the alert, or the answer, is not overtaken by a reset for what was not read.
void Opening::linger() {
  lingering_ = true;
  transport_.shutdown_write_after_flush();
  transport_.resume_reading();
  arm(kLinger);
}

// 3. Nearly always the first byte decides, and nothing is kept.
void Opening::choose_by_preface(std::string_view bytes) {
  const std::string_view front = bytes.substr(0, kPreface.size());
  if (!listener_.config.http2.enabled) return finish({.protocol = Protocol::Http1, .bytes = bytes});
  if (!kPreface.starts_with(front)) return finish({.protocol = Protocol::Http1, .bytes = bytes});
  if (front.size() == kPreface.size()) {
    return finish({.protocol = Protocol::Http2, .bytes = bytes});
  }
  if (waiting_.empty()) waiting_ = bytes;
}

void Opening::on_eof() {
  if (!chooses()) return owner_.on_opening_failed();
  finish({.protocol = Protocol::Http1, .bytes = waiting_, .eof = true});
}

void Opening::on_timeout() {
  if (!chooses()) return owner_.on_opening_failed();
  finish({.protocol = Protocol::Http1, .bytes = waiting_, .expired = true});
}

void Opening::finish(const Opened& opened) {
  timer_.disarm();
  owner_.on_opened(opened);
}

}  // namespace tidegate::proxy
