// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "http/codec.h"
#include "http/http2/session.h"
#include "http/http2/settings.h"

namespace tidegate::http::http2 {

/// Server side of an HTTP/2 connection (RFC 9113). All arguments outlive it. Its own SETTINGS wait
/// from the start, so the connection flushes once it stands; and it flushes after `receive`,
/// `resume` and `drain`, which may leave frames to be sent.
///
/// The receiver may send, or reset, from inside any of its callbacks. After send_end, or a head
/// with `end`, it hears nothing more, but for a tunnel's rest. on_request_error(ClientClosed) may
/// come at any time before that, also when the request has ended: the client has reset the stream,
/// or the connection is over, and what is still sent goes nowhere. When the codec is done, every
/// receiver has heard that.
///
/// A request with a `:protocol` (RFC 8441) looks like an HTTP/1 request with Upgrade; a response
/// with status 101 then goes out as 200 and opens the tunnel. A malformed request is answered by
/// its exchange; the stream is reset behind the answer.
class ServerCodec final : public http::ServerCodec, private SessionEvents {
 public:
  ServerCodec(OutputBuffer& output, ServerCodecOwner& owner, const Limits& limits,
              const Settings& settings = {});
  ServerCodec(const ServerCodec&) = delete;
  ServerCodec& operator=(const ServerCodec&) = delete;
  ~ServerCodec() override;

  size_t receive(std::string_view bytes) override;
  void expire_head() override;
  void receive_eof() override;
  void send_interim(StreamId stream, const ResponseHead& head) override;
  void send_head(StreamId stream, const ResponseHead& head, bool end) override;
  void send_body(StreamId stream, std::string_view bytes) override;
  void send_end(StreamId stream, const Headers& trailers) override;
  void give_up_request(StreamId stream) override;
  void reset(StreamId stream, ErrorCode code) override;
  void drain() override;
  void end_drain() override;

  bool pause(StreamId stream) override;
  void resume(StreamId stream) override;
  bool write_blocked(StreamId stream) const override;
  void produce(bool blocked) override { session_.produce(blocked); }
  bool has_more() const override { return session_.has_more(); }

  uint32_t open_streams() const override { return streams_; }
  bool idle() const override { return streams_ == 0 && !receiving_head(); }
  bool receiving_head() const override {
    return !session_.terminating() && session_.in_header_block();
  }
  bool done() const override { return session_.over(); }
  bool write_finished() const override { return false; }

  bool expire_stalled() override { return session_.expire_stalled(); }

 private:
  struct ServerStream;

  void on_fields(int32_t wire_id, Stream* stream, bool end) override;
  void on_data(Stream& stream, std::string_view bytes) override;
  void on_end(Stream& stream) override;
  void on_end_sent(Stream& stream) override;
  void on_closed(Stream& stream, uint32_t code, bool by_peer) override;
  void on_writable(Stream& stream) override;
  void on_ping_ack() override;
  void on_over() override {}

  ServerStream* find(StreamId stream) const;
  ServerStream& open_stream(int32_t wire_id);
  void begin_request(int32_t wire_id, bool end);
  void receive_trailers(ServerStream& stream, bool end);
  void receive_body(ServerStream& stream, std::string_view bytes);
  void end_request(ServerStream& stream);
  void fail_request(ServerStream& stream, ErrorCode code);
  void begin_tunnel(ServerStream& stream, const ResponseHead& head);
  void end_response(ServerStream& stream);

  const Limits& limits_;
  ServerCodecOwner& owner_;
  Session session_;
  uint32_t streams_ = 0;
  bool draining_ = false;
  bool last_named_ = false;  // the GOAWAY that names the last stream was submitted
};

}  // namespace tidegate::http::http2
