// SPDX-License-Identifier: Apache-2.0
#include "upstream/connection.h"

#include "http/http1/client_codec.h"
#include "http/http2/client_codec.h"
#include "http/tunnel_codec.h"
#include "telemetry/log.h"
#include "upstream/pool.h"

namespace tidegate::upstream {

Connection::Connection(Pool& pool, net::EventLoop& loop)
    : pool_(pool),
      transport_(loop, *this, net::OwnedFd()),
      timer_([](void* self) { static_cast<Connection*>(self)->on_timeout(); }, this) {
  transport_.read_on_after_failed_write();
}

Connection::~Connection() = default;

bool Connection::connect() {
  epoch_ = pool_.tls_epoch();
  enter(State::Connecting);
  dialer_.reset(new Dialer(transport_, pool_, *this));
  return dialer_->start();
}

void Connection::enter(State state) {
  state_ = state;
  heard_ = false;
  const Pool::Settings& settings = pool_.settings();
  Duration after{};
  switch (state) {
    case State::Connecting:
    case State::Suspect:
      after = settings.connect_timeout;
      break;
    case State::Idle:
      after = settings.pool.idle_timeout;
      break;
    case State::Busy:
      after = multiplexed_ ? settings.pool.ping_interval : Duration::zero();
      if (after == Duration::zero()) return timer_.disarm();
      break;
  }
  transport_.loop().timers().arm(timer_, after);
}

void Connection::on_dialed() {
  transport_.handle_with(*this);
  dialer_->stop();
  transport_.loop().destroy_later(std::move(dialer_));
  choose_codec();
  // An HTTP/2 origin says first how many streams it takes.
  if (multiplexed_) transport_.schedule_flush();
  settle();
}

void Connection::choose_codec() {
  const net::Tls* tls = transport_.tls();
  if (pool_.settings().protocol == Pool::Protocol::Tunnel) {
    codec_ = std::make_unique<http::TunnelCodec>(transport_.output());
    return;
  }
  multiplexed_ =
      pool_.settings().protocol == Pool::Protocol::Http2 || (tls != nullptr && tls->alpn() == "h2");
  if (multiplexed_) {
    transport_.gather_more();
    codec_ = std::make_unique<http::http2::ClientCodec>(transport_.output(), pool_.limits(),
                                                        tls == nullptr ? "http" : "https");
  } else {
    codec_ = std::make_unique<http::http1::ClientCodec>(transport_.output(), pool_.limits());
  }
}

void Connection::on_dial_failed(ErrorCode code, std::string_view detail) {
  transport_.handle_with(*this);
  dialer_->stop();
  transport_.loop().destroy_later(std::move(dialer_));
  if (!detail.empty()) {
    log::log_limited(pool_.endpoint().address, log::Level::Warn, "no way to an origin",
                     {{"endpoint", pool_.endpoint().address},
                      {"error", describe(code).token},
                      {"detail", detail}});
  }
  fail_connecting(code);
}

void Connection::fail_connecting(ErrorCode code) {
  timer_.disarm();
  transport_.close();
  pool_.connect_failed(*this, code);
}

void Connection::on_timeout() {
  switch (state_) {
    case State::Connecting:
      if (dialer_ == nullptr) return fail_connecting(ErrorCode::ConnectTimeout);
      transport_.close();
      return on_dial_failed(dialer_->late(), {});
    case State::Idle:
      return close();
    case State::Busy:
    case State::Suspect:
      return on_silence();
  }
}

void Connection::on_silence() {
  if (heard_) {
    enter(State::Busy);
    // It may have been without room for a while.
    return pool_.streams_changed(*this);
  }
  if (state_ == State::Busy) return suspect_death();
  transport_.close();
  on_broken();
}

void Connection::suspect_death() {
  const Duration patience = pool_.settings().pool.ping_interval;
  enter(State::Suspect);
  if (patience > Duration::zero()) transport_.loop().timers().arm(timer_, patience);
  codec_->ping();
  transport_.schedule_flush();
  pool_.streams_changed(*this);
}

void Connection::stream_timed_out() {
  if (multiplexed_ && transport_.open() && state_ != State::Suspect) suspect_death();
}

bool Connection::worn_out() const {
  return epoch_ != pool_.tls_epoch() || (streams_ > 0 && !pool_.may_reuse(streams_));
}

void Connection::leave_outdated() {
  // With the codec on the stack it is closed when that has returned (`settle`).
  codec_->idle() && !receiving_ ? close() : pool_.streams_changed(*this);
}

bool Connection::can_open() const {
  return state_ != State::Connecting && state_ != State::Suspect && transport_.open() &&
         codec_->can_open() && !worn_out();
}

bool Connection::takes_more() const {
  return state_ != State::Connecting && state_ != State::Suspect && transport_.open() &&
         !codec_->done() && !worn_out();
}

http::StreamId Connection::open(http::ResponseReceiver& receiver) {
  if (state_ == State::Idle) enter(State::Busy);
  ++streams_;
  const http::StreamId stream = codec_->open(receiver);
  pool_.stream_opened(*this);
  return stream;
}

void Connection::pause(http::StreamId stream) {
  if (!codec_->pause(stream)) transport_.pause_reading();
}

void Connection::resume(http::StreamId stream) {
  codec_->resume(stream);
  transport_.resume_reading();
  if (multiplexed_) transport_.schedule_flush();
}

void Connection::on_bytes(std::string_view bytes) {
  heard_ = true;
  receiving_ = true;
  codec_->receive(bytes);
  receiving_ = false;
  settle();
}

void Connection::on_eof() {
  receiving_ = true;
  codec_->receive_eof();
  receiving_ = false;
  if (state_ == State::Connecting) return fail_connecting(ErrorCode::OriginClosed);
  settle();
}

void Connection::on_broken() {
  receiving_ = true;
  codec_->fail(ErrorCode::OriginReset);
  receiving_ = false;
  if (state_ == State::Connecting) return fail_connecting(ErrorCode::OriginReset);
  close();
}

void Connection::on_drained() {
  while (!drain_waiters_.empty()) drain_waiters_.pop_front().on_upstream_drained();
  if (codec_->write_finished()) transport_.shutdown_write_after_flush();
  if (codec_->has_more()) transport_.schedule_flush();
  if (state_ == State::Connecting) return;
  if (!codec_->idle()) {
    // A stream that was cancelled frees its place when its reset has gone out.
    if (multiplexed_ && codec_->can_open()) pool_.streams_changed(*this);
    return;
  }
  if (codec_->done()) return close();
  // Streams may have ended by what was sent, or not.
  if (multiplexed_ && state_ == State::Busy) settle();
}

void Connection::stream_done() {
  if (!receiving_) settle();
}

void Connection::settle() {
  if (!transport_.open()) return;
  // What the codec says by itself (HTTP/2: settings, acknowledgements, windows, resets).
  if (multiplexed_) transport_.schedule_flush();
  if (state_ == State::Connecting) {
    const bool refused = codec_->asks_for_http1() && pool_.learn_http1();
    if (refused) return fail_connecting(ErrorCode::StreamRefused);
    if (codec_->done()) return fail_connecting(ErrorCode::BadResponse);
    if (!codec_->can_open()) return;
    // In case that nobody waits for it any more.
    enter(State::Idle);
    pool_.expect_streams(codec_->streams_allowed());
    return pool_.connection_ready(*this);
  }
  if (multiplexed_) pool_.expect_streams(codec_->streams_allowed());
  if (state_ == State::Suspect && heard_) enter(State::Busy);
  if (codec_->idle()) {
    if (codec_->done()) return close_with_last_words();
    if (worn_out() || !pool_.keeps_idle()) return close();
    transport_.resume_reading();
    if (state_ == State::Busy) enter(State::Idle);
  }
  pool_.streams_changed(*this);
}

void Connection::close_if_idle() {
  if (codec_ != nullptr && codec_->idle()) close();
}

/// The origin hears why (HTTP/2: GOAWAY), as far as the kernel takes that at once.
void Connection::close_with_last_words() {
  if (multiplexed_) transport_.flush();
  if (transport_.open()) close();
}

void Connection::close() {
  timer_.disarm();
  transport_.close();
  if (linked()) pool_.connection_closed(*this);
}

}  // namespace tidegate::upstream
