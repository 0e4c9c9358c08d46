// SPDX-License-Identifier: Apache-2.0
#include "proxy/downstream_connection.h"

#include <algorithm>
#include <cassert>

#include "http/http1/server_codec.h"
#include "http/http2/server_codec.h"
#include "proxy/exchange.h"

namespace tidegate::proxy {
namespace {

// How long, after the last response, bytes of the client are read and dropped, so that the kernel
// does not answer them with a reset that would overtake the response.
constexpr auto kLinger = std::chrono::seconds(2);
// Bytes of the client that are read meanwhile. After that it is no longer read from, so that one
// which goes on at full speed costs nothing; what its kernel has got already it can still read.
constexpr uint32_t kLingerBytes = 256 * 1024;
// Bytes behind much output have their turn later, so that neither finished exchanges pile up in
// this one nor other clients wait.
constexpr auto kFeedAfter = std::chrono::milliseconds(1);
// How long a client may take to hear that its idle connection ends, and for what it has sent by
// then to arrive; then it lingers for the rest of two seconds.
constexpr auto kFarewell = std::chrono::milliseconds(1500);
constexpr auto kFarewellLinger = std::chrono::milliseconds(500);
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
  if (transport_.tls() != nullptr) peer.scheme = "https";
  peer.listener_port = server_port_ != 0 ? server_port_ : listener_.port;
  peer.trusted_proxies = &listener_.config.trusted_proxies;
  peer.trusted = trusted_;
  return peer;
}

DownstreamConnection::Known& DownstreamConnection::known() {
  if (known_ == nullptr) known_ = std::make_unique<Known>();
  return *known_;
}

net::TlsFacts::Pin DownstreamConnection::tls() {
  // They outlive the connection's TLS, for those who log its end.
  if (transport_.tls() != nullptr && known().tls == nullptr) {
    known_->tls = transport_.tls()->facts();
  }
  return known_ == nullptr || known_->tls == nullptr ? nullptr : known_->tls->pin();
}

upstream::ProxiedClient& DownstreamConnection::proxied_client() {
  std::unique_ptr<upstream::ProxiedClient>& proxied = known().proxied;
  if (proxied == nullptr) {
    const auto source = unix_ ? net::SocketAddress() : net::SocketAddress::from_ip(ip_, port_);
    proxied = std::make_unique<upstream::ProxiedClient>(source, transport_.local_address());
  }
  return *proxied;
}

DownstreamConnection::~DownstreamConnection() {
  context_.metrics.client_streams_active.subtract(streams_counted_);
  listener_.connections->fetch_sub(1, std::memory_order_relaxed);
  context_.metrics.connections_active.subtract();
  listener_.unpin();
}

void DownstreamConnection::start() {
  opening_.reset(new Opening(transport_, listener_, *this));
  opening_->start();
  if (context_.draining) opening_->limit(kFarewell);
}

// From now on it counts as the peer: in logs, for scripts, and for whether it is trusted.
void DownstreamConnection::on_client_named(const net::SocketAddress& client, uint16_t server_port) {
  ip_ = client.ip();
  port_ = client.port();
  server_port_ = server_port;
  unix_ = false;
  trusted_ = listener_.trusts(client);
}

void DownstreamConnection::on_opened(const Opening::Opened& opened) {
  transport_.handle_with(*this);
  context_.loop.destroy_later(std::move(opening_));
  multiplexed_ = opened.protocol == Opening::Protocol::Http2;
  context_.metrics.connection_opened(multiplexed_, transport_.tls() != nullptr);
  if (multiplexed_) {
    transport_.gather_more();
    codec_ = std::make_unique<http::http2::ServerCodec>(transport_.output(), *this,
                                                        listener_.limits, listener_.http2);
    stalls_looked_at_ = context_.loop.now();
    await(Await::Request);
  } else {
    codec_ =
        std::make_unique<http::http1::ServerCodec>(transport_.output(), *this, listener_.limits);
  }
  on_bytes(opened.bytes);
  // An empty line is no request, and begins none.
  if (transport_.open() && await_ == Await::Nothing && exchanges_.empty()) await(Await::Request);
  if (opened.eof && transport_.open()) on_eof();
  if (opened.expired && transport_.open()) on_timeout();
  if (context_.draining && transport_.open()) leave_opened();
}

// It was shaking hands when the drain began.
void DownstreamConnection::leave_opened() {
  if (lingering() || codec_->done()) return;
  if (multiplexed_) return say_farewell();
  begin_farewell_if_due();
}

http::ServerCodecOwner::Begun DownstreamConnection::begin_request(http::StreamId stream) {
  if (multiplexed_) {
    if (await_ != Await::Request) await(Await::Request);
    expire_stalled();
  } else {
    assert(exchanges_.empty());
    await(Await::Nothing);
  }
  ++requests_;
  auto* exchange = new Exchange(context_, *this, stream);
  exchanges_.push_back(*exchange);
  const uint64_t most = listener_.config.max_requests;
  const bool last = context_.draining || (most > 0 && requests_ >= most);
  return {&exchange->request(), exchange, last};
}

void DownstreamConnection::await(Await what) {
  await_ = what;
  Duration after{};
  switch (what) {
    case Await::Nothing:
      return timer_.disarm();
    case Await::Request:
      after = listener_.config.idle_timeout;
      break;
    case Await::Head:
      after = listener_.config.head_timeout;
      break;
    case Await::Feeding:
      after = kFeedAfter;
      break;
    case Await::Farewell:
      after = kFarewell;
      break;
    case Await::ClientEnd:
      after = kLinger;
      break;
  }
  context_.loop.timers().arm(timer_, after);
}

// ---- what the client sends ----

void DownstreamConnection::on_bytes(std::string_view bytes) {
  if (lingering()) return drop(bytes.size());
  if (held_ != nullptr) {
    held_->bytes.append(bytes);
    feed_held();
  } else {
    feed(bytes);
  }
  after_input();
}

void DownstreamConnection::drop(size_t size) {
  dropped_ += static_cast<uint32_t>(std::min<size_t>(size, kLingerBytes));
  if (dropped_ >= kLingerBytes) transport_.pause_reading();
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
  while (held_ != nullptr && !receiving_ && !lingering() && !paused_) {
    std::unique_ptr<HeldBytes> fed = std::move(held_);
    const size_t size = fed->bytes.size();
    feed(fed->bytes);
    // Stretches of it may be borrowed by an origin's output until the flush that ends this
    // callback.
    context_.loop.destroy_later(std::move(fed));
    if (held_ != nullptr && held_->bytes.size() == size) return;
  }
}

// The one place that decides whether the client is read from.
void DownstreamConnection::after_input() {
  if (!transport_.open() || lingering()) return;
  if (held_ != nullptr) {
    // A pipelined request waits its turn, or for room in the output; the client waits with it.
    transport_.pause_reading();
  } else if (eof_) {
    tell_eof();
    if (!transport_.open()) return;
  } else if (!paused_ && !codec_->done()) {
    transport_.resume_reading();
  }
  if (await_ != Await::Head && codec_->receiving_head() && (multiplexed_ || exchanges_.empty())) {
    await(Await::Head);
  } else if (multiplexed_ && await_ == Await::Head && !codec_->receiving_head()) {
    await(Await::Request);  // it was trailers, and the next block has its own time
  }
  if (multiplexed_) {
    count_streams();
    // What the codec says by itself: settings, acknowledgements, windows.
    transport_.schedule_flush();
  }
  begin_farewell_if_due();
  finish_if_done();
}

void DownstreamConnection::tell_eof() {
  if (std::exchange(eof_told_, true)) return;
  if (gone_with_eof()) return close();
  receiving_ = true;
  codec_->receive_eof();
  receiving_ = false;
}

/// The client waits for an answer, and the listener takes its end for a farewell.
bool DownstreamConnection::gone_with_eof() {
  return listener_.config.client_half_close == config::HalfClose::Abort && !multiplexed_ &&
         !exchanges_.empty() && !exchanges_.front().tunnels();
}

void DownstreamConnection::on_eof() {
  eof_ = true;
  if (lingering()) return close();
  after_input();
}

void DownstreamConnection::on_broken() {
  close();
}

void DownstreamConnection::on_flush() {
  codec_->produce(transport_.write_blocked());
  if (multiplexed_) count_streams();
}

// Streams begin in `receive` and end in either, so a look after both sees all there is.
void DownstreamConnection::count_streams() {
  const auto open = static_cast<uint16_t>(codec_->open_streams());  // at most 10,000 by the config
  const int more = open - std::exchange(streams_counted_, open);
  if (more != 0) context_.metrics.client_streams_active.add(more);
}

// ---- what exchanges want ----

void DownstreamConnection::pause_request(http::StreamId stream) {
  if (codec_->pause(stream)) return;
  paused_ = true;
  transport_.pause_reading();
}

void DownstreamConnection::resume_request(http::StreamId stream) {
  codec_->resume(stream);
  if (multiplexed_) return transport_.schedule_flush();
  paused_ = false;
  if (receiving_) return;
  feed_held();
  after_input();
}

void DownstreamConnection::stream_ended(http::StreamId) {
  paused_ = false;
  if (!transport_.open()) return;
  // Of several streams, those with nothing but a shut window before them must not live on by
  // others.
  if (multiplexed_ ? codec_->idle() : exchanges_.empty()) await(Await::Request);
  if (multiplexed_) transport_.schedule_flush();
  if (receiving_) return;
  feed_held();
  after_input();
}

void DownstreamConnection::on_drained() {
  if (codec_->has_more()) transport_.schedule_flush();
  // One that hears it may end itself.
  exchanges_.for_each([](Exchange& exchange) { exchange.on_downstream_drained(); });
  const bool turn = multiplexed_ || exchanges_.empty();
  if (held_ != nullptr && turn && !receiving_ && await_ != Await::Feeding) await(Await::Feeding);
  if (codec_->write_finished()) transport_.shutdown_write_after_flush();
  begin_farewell_if_due();
  finish_if_done();
}

// ---- the end ----

void DownstreamConnection::finish_if_done() {
  if (!transport_.open() || lingering() || receiving_) return;
  if (!codec_->done() || !transport_.flushed()) return;
  linger();
}

void DownstreamConnection::linger() {
  if (codec_->truncated()) return close();
  const bool farewell = await_ == Await::Farewell;
  await(Await::ClientEnd);
  if (farewell) context_.loop.timers().arm(timer_, kFarewellLinger);
  held_.reset();
  leave_exchanges();
  if (eof_) return close();
  transport_.shutdown_write_after_flush();
  transport_.resume_reading();
}

/// Some of what the kernel holds for the client has gone since this was asked last. If the socket
/// closed now, the client's next bytes would be answered with a reset, and the rest be lost.
bool DownstreamConnection::still_delivers() {
  return transport_.bytes_taken() < transport_.bytes_written() && client_reads();
}

bool DownstreamConnection::client_reads() {
  const uint64_t taken = transport_.bytes_taken();
  return std::exchange(taken_before_, taken) != taken;
}

void DownstreamConnection::leave_exchanges() {
  while (!exchanges_.empty()) exchanges_.pop_front().on_client_gone();
}

void DownstreamConnection::on_timeout() {
  switch (await_) {
    case Await::Nothing:
      return;
    case Await::Farewell:
      return end_farewell();
    case Await::ClientEnd:
      return still_delivers() ? await(Await::ClientEnd) : close();
    case Await::Feeding:
      await(Await::Request);
      feed_held();
      return after_input();
    case Await::Request:
    case Await::Head:
      return on_silence();
  }
}

void DownstreamConnection::on_silence() {
  if (!transport_.flushed()) {
    // As long as the client reads at all, it gets the rest of its response.
    return client_reads() ? await(Await::Request) : close();
  }
  if (multiplexed_ && !codec_->receiving_head()) {
    expire_stalled();
    if (codec_->idle()) return say_farewell();
    return await(Await::Request);
  }
  if (!codec_->receiving_head()) return close();
  // 408: the codec makes the head's end into an error and the exchange answers it.
  codec_->expire_head();
  if (multiplexed_) transport_.schedule_flush();
  finish_if_done();
}

// Whenever idle_timeout has passed since the last time, however busy the client is otherwise.
void DownstreamConnection::expire_stalled() {
  const TimePoint now = context_.loop.now();
  if (now - stalls_looked_at_ < listener_.config.idle_timeout) return;
  stalls_looked_at_ = now;
  codec_->expire_stalled();
  transport_.schedule_flush();
}

void DownstreamConnection::drain() {
  // A request that stands in the kernel came before the end, so it is answered.
  transport_.read_arrived();
  if (!transport_.open()) return;
  // A client that has only connected, or is between two requests, may have sent the next one.
  if (codec_ == nullptr) return opening_->limit(kFarewell);
  if (multiplexed_) return say_farewell();
  if (!exchanges_.empty() || codec_->receiving_head()) return codec_->drain();
  begin_farewell_if_due();
}

void DownstreamConnection::say_farewell() {
  codec_->drain();
  if (rests()) {
    await(Await::Farewell);
  } else if (await_ == Await::Request) {
    await(Await::Request);
  }
  transport_.schedule_flush();
}

/// Nothing is under way, and nothing that was waits to be read or written.
bool DownstreamConnection::rests() const {
  return exchanges_.empty() && codec_->idle() && !codec_->done() && held_ == nullptr &&
         transport_.flushed();
}

// In a drain, a client that has got all of its responses may still have asked; its time counts
// from the last byte of them.
void DownstreamConnection::begin_farewell_if_due() {
  if (context_.draining && await_ == Await::Request && rests()) await(Await::Farewell);
}

void DownstreamConnection::end_farewell() {
  if (!exchanges_.empty() || !codec_->idle()) return await(Await::Request);
  codec_->drain();
  codec_->end_drain();
  transport_.flush();  // the GOAWAY of HTTP/2
  finish_if_done();
  if (transport_.open() && !lingering()) await(Await::Request);
}

void DownstreamConnection::cut() {
  while (!exchanges_.empty()) exchanges_.front().abandon();
  if (transport_.open()) transport_.flush();  // what tells the client so
  close();
}

void DownstreamConnection::close() {
  if (!linked()) return;
  ListNode<DownstreamConnection>::unlink();
  timer_.disarm();
  const bool truncated = codec_ != nullptr && codec_->truncated();
  truncated ? transport_.abort() : transport_.close();
  if (opening_ != nullptr) context_.loop.destroy_later(std::move(opening_));
  leave_exchanges();
  context_.loop.destroy_later(std::unique_ptr<net::Deferred>(this));
}

}  // namespace tidegate::proxy
