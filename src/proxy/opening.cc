// SPDX-License-Identifier: Apache-2.0
#include "proxy/opening.h"

#include "net/proxy_protocol.h"
#include "telemetry/log.h"

namespace tidegate::proxy {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 3.4

}  // namespace

Opening::Opening(net::Transport& transport, const config::Listener& listener, Owner& owner)
    : transport_(transport),
      listener_(listener),
      owner_(owner),
      timer_([](void* self) { static_cast<Opening*>(self)->on_timeout(); }, this),
      header_due_(listener.proxy_protocol) {
  transport_.handle_with(*this);
  // The header stands before TLS, whose transport reads its bytes itself: take none of them.
  transport_.peek(header_due_);
}

void Opening::start() {
  transport_.start_reading();
  transport_.loop().timers().arm(timer_, listener_.head_timeout);
}

void Opening::on_bytes(std::string_view bytes) {
  if (header_due_) return read_proxy_header(bytes);
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
                     {{"listener", listener_.name}, {"error", parsed.fault}});
    return owner_.on_opening_failed();
  }
  // Of a header that is not whole, all that has come is part.
  const bool done = parsed.state == net::ProxyParse::Done;
  transport_.take((done ? parsed.size : waiting_.size()) - before);
  if (!done) return;
  waiting_ = {};
  header_due_ = false;
  transport_.peek(false);
  transport_.loop().timers().arm(timer_, listener_.head_timeout);
  if (parsed.header.has_addresses) owner_.on_client_named(parsed.header.source);
}

// 2. Nearly always the first byte decides, and nothing is kept.
void Opening::choose_by_preface(std::string_view bytes) {
  const std::string_view front = bytes.substr(0, kPreface.size());
  if (!listener_.http2.enabled) return finish({.protocol = Protocol::Http1, .bytes = bytes});
  if (!kPreface.starts_with(front)) return finish({.protocol = Protocol::Http1, .bytes = bytes});
  if (front.size() == kPreface.size()) {
    return finish({.protocol = Protocol::Http2, .bytes = bytes});
  }
  if (waiting_.empty()) waiting_ = bytes;
}

void Opening::on_eof() {
  if (!begun()) return owner_.on_opening_failed();
  finish({.protocol = Protocol::Http1, .bytes = waiting_, .eof = true});
}

void Opening::on_timeout() {
  if (!begun()) return owner_.on_opening_failed();
  finish({.protocol = Protocol::Http1, .bytes = waiting_, .expired = true});
}

void Opening::finish(const Opened& opened) {
  timer_.disarm();
  owner_.on_opened(opened);
}

}  // namespace tidegate::proxy
