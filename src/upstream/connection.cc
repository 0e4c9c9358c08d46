// SPDX-License-Identifier: Apache-2.0
#include "upstream/connection.h"

#include "http/http1/client_codec.h"
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
  transport_.loop().timers().arm(timer_, pool_.settings().connect_timeout);
  dialer_.reset(new Dialer(transport_, pool_.endpoint(), *this));
  return dialer_->start();
}

void Connection::end_dialing() {
  timer_.disarm();
  transport_.handle_with(*this);
  transport_.loop().destroy_later(std::move(dialer_));
}

void Connection::on_dialed() {
  end_dialing();
  codec_ = std::make_unique<http::http1::ClientCodec>(transport_.output(), pool_.limits());
  // In case that nobody waits for it any more.
  arm_idle();
  pool_.connection_ready(*this);
}

void Connection::on_dial_failed(ErrorCode code) {
  end_dialing();
  pool_.connect_failed(*this, code);
}

void Connection::on_timeout() {
  if (dialer_ == nullptr) return close();
  transport_.close();
  on_dial_failed(ErrorCode::ConnectTimeout);
}

bool Connection::worn_out() const { return streams_ > 0 && !pool_.may_reuse(streams_); }

bool Connection::can_open() const {
  return codec_ != nullptr && transport_.open() && codec_->can_open() && !worn_out();
}

http::StreamId Connection::open(http::ResponseReceiver& receiver) {
  timer_.disarm();
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
  receiving_ = true;
  codec_->receive(bytes);
  receiving_ = false;
  settle();
}

void Connection::on_eof() {
  receiving_ = true;
  codec_->receive_eof();
  receiving_ = false;
  settle();
}

void Connection::on_broken() {
  receiving_ = true;
  codec_->fail(ErrorCode::OriginReset);
  receiving_ = false;
  close();
}

void Connection::on_drained() {
  while (!drain_waiters_.empty()) drain_waiters_.pop_front().on_upstream_drained();
  if (codec_->write_finished()) transport_.shutdown_write_after_flush();
  if (codec_->idle() && codec_->done()) close();
}

void Connection::stream_done() {
  if (!receiving_) settle();
}

void Connection::settle() {
  if (!transport_.open()) return;
  // What the codec says by itself (HTTP/2: settings, acknowledgements, windows, resets).
  if (multiplexed_) transport_.schedule_flush();
  if (codec_->idle()) {
    if (codec_->done() || worn_out() || !pool_.keeps_idle()) return close();
    transport_.resume_reading();
    if (!timer_.armed()) arm_idle();
  }
  pool_.streams_changed(*this);
}

void Connection::arm_idle() {
  transport_.loop().timers().arm(timer_, pool_.settings().pool.idle_timeout);
}

void Connection::close_if_idle() {
  if (codec_ != nullptr && codec_->idle()) close();
}

void Connection::close() {
  timer_.disarm();
  transport_.close();
  if (linked()) pool_.connection_closed(*this);
}

}  // namespace tidegate::upstream
