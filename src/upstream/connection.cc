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
  codec_ = std::make_unique<http::http1::ClientCodec>(transport_.output(), pool.limits());
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
  pool_.connection_idle(*this);
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

http::StreamId Connection::open(http::ResponseReceiver& receiver) {
  timer_.disarm();
  ++streams_;
  return codec_->open(receiver);
}

void Connection::pause(http::StreamId stream) {
  if (!codec_->pause(stream)) transport_.pause_reading();
}

void Connection::resume(http::StreamId stream) {
  codec_->resume(stream);
  transport_.resume_reading();
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
  if (!transport_.open() || !codec_->idle()) return;
  if (codec_->done() || !codec_->can_open() || !pool_.may_reuse(streams_)) return close();
  transport_.resume_reading();
  pool_.connection_idle(*this);
}

void Connection::arm_idle(Duration after) { transport_.loop().timers().arm(timer_, after); }

void Connection::close() {
  timer_.disarm();
  transport_.close();
  if (linked()) pool_.connection_closed(*this);
}

}  // namespace tidegate::upstream
