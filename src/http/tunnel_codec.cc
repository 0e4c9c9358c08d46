// SPDX-License-Identifier: Apache-2.0
#include "http/tunnel_codec.h"

#include <cassert>
#include <utility>

namespace tidegate::http {
namespace {

constexpr StreamId kOnly = 1;
constexpr uint16_t kOk = 200;

}  // namespace

StreamId TunnelCodec::open(ResponseReceiver& receiver) {
  assert(can_open());
  receiver_ = &receiver;
  state_ = State::Opened;
  done_ = true;  // it takes no further stream
  return kOnly;
}

void TunnelCodec::send_head(StreamId, const RequestHead&, bool) {
  if (state_ != State::Opened) return;
  ResponseHead& head = receiver_->begin_response();
  head.status = kOk;
  head.connected = true;
  state_ = State::Tunnel;
  receiver_->on_response_head(false);
}

void TunnelCodec::send_body(StreamId, std::string_view bytes) {
  if (state_ != State::Tunnel && state_ != State::Ended) return;
  if (!sent_all_ && !bytes.empty()) output_.borrow(bytes);
}

void TunnelCodec::send_end(StreamId, const Headers&) {
  if (state_ != State::Tunnel && state_ != State::Ended) return;
  sent_all_ = true;
  if (state_ == State::Ended) finish();
}

void TunnelCodec::cancel(StreamId) {
  if (!idle()) finish();
}

void TunnelCodec::receive(std::string_view bytes) {
  // What comes before the stream belongs to nobody.
  if (state_ == State::None) done_ = true;
  if (state_ == State::Tunnel) receiver_->on_response_body(bytes);
}

void TunnelCodec::receive_eof() {
  if (state_ == State::None) done_ = true;
  if (state_ == State::Opened) return fail(ErrorCode::OriginClosed);
  if (state_ != State::Tunnel) return;
  if (sent_all_) return finish().on_response_end();
  state_ = State::Ended;
  receiver_->on_response_end();
}

void TunnelCodec::fail(ErrorCode code) {
  done_ = true;
  // It still matters when the origin's direction has ended: the client's has not.
  if (!idle()) finish().on_response_error(code);
}

ResponseReceiver& TunnelCodec::finish() {
  state_ = State::Over;
  return *std::exchange(receiver_, nullptr);
}

}  // namespace tidegate::http
