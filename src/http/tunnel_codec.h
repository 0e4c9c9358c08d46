// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/codec.h"

namespace tidegate::http {

/// Client side of a connection that speaks no HTTP: the far half of a tunnel that a CONNECT asked
/// for (RFC 9110 9.3.6). One stream. Its request's head goes nowhere; send_head is answered at
/// once, from inside the call, with a 200 that is `connected`, since the connection is what was
/// asked for. From then on body bytes go and come as they are, and an end is a half-close. `output`
/// outlives it.
class TunnelCodec final : public ClientCodec {
 public:
  explicit TunnelCodec(OutputBuffer& output) : output_(output) {}
  TunnelCodec(const TunnelCodec&) = delete;
  TunnelCodec& operator=(const TunnelCodec&) = delete;

  StreamId open(ResponseReceiver& receiver) override;
  bool can_open() const override { return !done_ && state_ == State::None; }
  void send_head(StreamId stream, const RequestHead& head, bool end) override;
  void send_body(StreamId stream, std::string_view bytes) override;
  void send_end(StreamId stream, const Headers& trailers) override;
  void cancel(StreamId stream) override;

  void receive(std::string_view bytes) override;
  void receive_eof() override;
  void fail(ErrorCode code) override;

  bool idle() const override { return state_ == State::None || state_ == State::Over; }
  bool done() const override { return done_; }
  bool write_finished() const override { return sent_all_; }

 private:
  // None ──► Opened ──► Tunnel ──► Ended ──► Over     Ended: the origin has ended, the client not
  //             └──────────┴─────────────────▲
  enum class State : uint8_t { None, Opened, Tunnel, Ended, Over };

  ResponseReceiver& finish();

  OutputBuffer& output_;
  ResponseReceiver* receiver_ = nullptr;
  State state_ = State::None;
  bool sent_all_ = false;
  bool done_ = false;
};

}  // namespace tidegate::http
