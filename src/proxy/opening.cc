// SPDX-License-Identifier: Apache-2.0
#include "proxy/opening.h"

namespace tidegate::proxy {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 3.4

}  // namespace

Opening::Opening(net::Transport& transport, const config::Listener& listener, Owner& owner)
    : transport_(transport),
      listener_(listener),
      owner_(owner),
      timer_([](void* self) { static_cast<Opening*>(self)->on_timeout(); }, this) {
  transport_.handle_with(*this);
}

void Opening::start() {
  transport_.start_reading();
  transport_.loop().timers().arm(timer_, listener_.head_timeout);
}

void Opening::on_bytes(std::string_view bytes) {
  if (waiting_.empty()) return choose_by_preface(bytes);
  waiting_.append(bytes);
  choose_by_preface(waiting_);
}

// 1. Nearly always the first byte decides, and nothing is kept.
void Opening::choose_by_preface(std::string_view bytes) {
  const std::string_view front = bytes.substr(0, kPreface.size());
  if (!kPreface.starts_with(front)) return finish({.protocol = Protocol::Http1, .bytes = bytes});
  if (front.size() == kPreface.size()) {
    return finish({.protocol = Protocol::Http2, .bytes = bytes});
  }
  if (waiting_.empty()) waiting_ = bytes;
}

void Opening::on_eof() {
  if (waiting_.empty()) return owner_.on_opening_failed();
  finish({.protocol = Protocol::Http1, .bytes = waiting_, .eof = true});
}

void Opening::on_timeout() {
  if (waiting_.empty()) return owner_.on_opening_failed();
  finish({.protocol = Protocol::Http1, .bytes = waiting_, .expired = true});
}

void Opening::finish(const Opened& opened) {
  timer_.disarm();
  owner_.on_opened(opened);
}

}  // namespace tidegate::proxy
