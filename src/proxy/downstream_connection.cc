// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream_connection.h"

#include <cassert>

#include "http/http1/server_codec.h"
#include "proxy/exchange.h"

namespace tidegate::proxy {
namespace {

// How long, after the last response, bytes of the client are read and dropped, so that the kernel
// does not answer them with a reset that would overtake the response.
constexpr auto kLinger = std::chrono::seconds(2);
constexpr auto kFeedAfter = std::chrono::milliseconds(1);
constexpr size_t kIpTextSize = 46;
constexpr std::string_view kUnixPeer = "unix";  // who comes by a unix socket has no address

}  // namespace

DownstreamConnection::DownstreamConnection(WorkerContext& context, ListenerRuntime& listener,
                                           net::OwnedFd fd, const net::SocketAddress& peer)
    : context_(context),
      listener_(listener),
      transport_(context.loop, *this, std::move(fd)),
      timer_([](void* self) { static_cast<DownstreamConnection*>(self)->on_timeout(); }, this),
      ip_(peer.ip()),
      port_(peer.port()),
      unix_(peer.is_unix()),
      trusted_(listener.trusts(peer)) {
  ++listener_.pins;
  listener_.connections->fetch_add(1, std::memory_order_relaxed);
  context_.metrics.connections_total.add();
  context_.metrics.connections_active.add();
}

Peer DownstreamConnection::peer(Arena& arena) const {
  Peer peer;
  peer.ip = ip_;
  peer.by_unix_socket = unix_;
  if (unix_) {
    peer.ip_text = kUnixPeer;
  } else {
    char* text = arena.chars(kIpTextSize);
    peer.ip_text = {text, ip_.write(text)};
  }
  peer.port = port_;
  peer.listener_port = listener_.port;
  peer.trusted_proxies = &listener_.config.trusted_proxies;
  peer.trusted = trusted_;
  return peer;
}

DownstreamConnection::~DownstreamConnection() {
  listener_.connections->fetch_sub(1, std::memory_order_relaxed);
  context_.metrics.connections_active.subtract();
  listener_.unpin();
}

void DownstreamConnection::start() {
  opening_.reset(new Opening(transport_, listener_.config, *this));
  opening_->start();
}

// From now on it counts as the peer: in logs, for scripts, and for whether it is trusted.
void DownstreamConnection::on_client_named(const net::SocketAddress& client) {
  ip_ = client.ip();
  port_ = client.port();
  unix_ = false;
  trusted_ = listener_.trusts(client);
}

void DownstreamConnection::on_opened(const Opening::Opened& opened) {
  transport_.handle_with(*this);
  context_.loop.destroy_later(std::move(opening_));
  codec_ = std::make_unique<http::http1::ServerCodec>(transport_.output(), *this, listener_.limits);
  on_bytes(opened.bytes);
  if (opened.eof && transport_.open()) on_eof();
  if (opened.expired && transport_.open()) on_timeout();
}

http::ServerCodecOwner::Begun DownstreamConnection::begin_request(http::StreamId stream) {
  timer_.disarm();
  head_timed_ = feed_due_ = false;
  ++requests_;
  assert(exchange_ == nullptr);
  auto* exchange = new Exchange(context_, *this, stream);
  exchange_ = exchange;
  const uint64_t most = listener_.config.max_requests;
  const bool last = context_.draining || (most > 0 && requests_ >= most);
  return {&exchange->request(), exchange, last};
}

void DownstreamConnection::on_bytes(std::string_view bytes) {
  if (lingering_) return;
  if (held_ != nullptr) {
    held_->bytes.append(bytes);
    feed_held();
  } else {
    feed(bytes);
  }
  after_input();
}

void DownstreamConnection::feed(std::string_view bytes) {
  receiving_ = true;
  const size_t consumed = codec_->receive(bytes);
  receiving_ = false;
  if (consumed < bytes.size() && !codec_->done()) {
    held_ = std::make_unique<HeldBytes>();
    held_->bytes = bytes.substr(consumed);
  }
}

void DownstreamConnection::feed_held() {
  while (held_ != nullptr && !receiving_ && !lingering_ && !paused_) {
    std::unique_ptr<HeldBytes> fed = std::move(held_);
    const size_t size = fed->bytes.size();
    feed(fed->bytes);
    // Stretches of it may be borrowed by an origin's output until the flush that ends this callback.
    context_.loop.destroy_later(std::move(fed));
    if (held_ != nullptr && held_->bytes.size() == size) return;
  }
}

// The one place that decides whether the client is read from.
void DownstreamConnection::after_input() {
  if (!transport_.open() || lingering_) return;
  if (held_ != nullptr) {
    // A pipelined request waits its turn; the client waits with it.
    transport_.pause_reading();
  } else if (eof_) {
    tell_eof();
  } else if (!paused_ && !codec_->done()) {
    transport_.resume_reading();
  }
  if (exchange_ == nullptr && codec_->receiving_head() && !head_timed_) {
    head_timed_ = true;
    context_.loop.timers().arm(timer_, listener_.config.head_timeout);
  }
  finish_if_done();
}

void DownstreamConnection::tell_eof() {
  if (std::exchange(eof_told_, true)) return;
  receiving_ = true;
  codec_->receive_eof();
  receiving_ = false;
}

void DownstreamConnection::stream_ended(http::StreamId) {
  exchange_ = nullptr;
  paused_ = false;
  if (!transport_.open()) return;
  context_.loop.timers().arm(timer_, listener_.config.idle_timeout);
  if (receiving_) return;
  feed_held();
  after_input();
}

void DownstreamConnection::pause_request(http::StreamId) {
  paused_ = true;
  transport_.pause_reading();
}

void DownstreamConnection::resume_request(http::StreamId) {
  paused_ = false;
  if (receiving_) return;
  feed_held();
  after_input();
}

void DownstreamConnection::on_eof() {
  eof_ = true;
  if (lingering_) return close();
  after_input();
}

void DownstreamConnection::on_broken() { close(); }

void DownstreamConnection::on_drained() {
  if (exchange_ != nullptr) {
    exchange_->on_downstream_drained();
  } else if (held_ != nullptr && !receiving_ && !feed_due_) {
    // Answers piled up before a pipeline of requests. The rest has its turn later, so that neither
    // finished exchanges pile up in this one nor other clients wait.
    feed_due_ = true;
    context_.loop.timers().arm(timer_, kFeedAfter);
  }
  if (codec_->write_finished()) transport_.shutdown_write_after_flush();
  finish_if_done();
}

void DownstreamConnection::finish_if_done() {
  if (!transport_.open() || lingering_ || receiving_) return;
  if (!codec_->done() || !transport_.output().empty()) return;
  linger();
}

void DownstreamConnection::linger() {
  lingering_ = true;
  held_.reset();
  if (eof_) return close();
  transport_.shutdown_write_after_flush();
  transport_.resume_reading();
  context_.loop.timers().arm(timer_, kLinger);
}

void DownstreamConnection::on_timeout() {
  if (lingering_) return close();
  if (std::exchange(feed_due_, false)) {
    context_.loop.timers().arm(timer_, listener_.config.idle_timeout);
    feed_held();
    return after_input();
  }
  if (exchange_ != nullptr) return;
  if (!transport_.output().empty()) {
    // As long as the client reads at all, it gets the rest of its response.
    const uint64_t written = transport_.bytes_written();
    if (std::exchange(written_before_, written) == written) return close();
    return context_.loop.timers().arm(timer_, listener_.config.idle_timeout);
  }
  if (!codec_->receiving_head()) return close();
  // 408: the codec makes the head's end into an error and the exchange answers it.
  codec_->expire_head();
  finish_if_done();
}

void DownstreamConnection::drain() {
  // A request that stands in the kernel came before the end, so it is answered.
  transport_.read_arrived();
  if (!transport_.open()) return;
  if (codec_ == nullptr) {
    if (!opening_->begun()) close();
    return;
  }
  codec_->drain();
  if (exchange_ == nullptr && !codec_->receiving_head() && transport_.output().empty()) close();
}

void DownstreamConnection::close() {
  if (!linked()) return;
  ListNode<DownstreamConnection>::unlink();
  timer_.disarm();
  transport_.close();
  if (opening_ != nullptr) context_.loop.destroy_later(std::move(opening_));
  if (exchange_ != nullptr) std::exchange(exchange_, nullptr)->on_client_gone();
  context_.loop.destroy_later(std::unique_ptr<net::Deferred>(this));
}

}  // namespace tidegate::proxy
