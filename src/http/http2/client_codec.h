// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>
#include <vector>

#include "http/codec.h"
#include "http/http2/session.h"
#include "http/http2/settings.h"

namespace tidegate::http::http2 {

/// Client side of an HTTP/2 connection (RFC 9113): many streams at a time. All arguments outlive
/// it; `scheme` is that of the connection, "http" or "https". Preface and SETTINGS wait from the
/// start, so the connection flushes once it stands; and it flushes after `receive`, `resume`,
/// `cancel` and `ping`, which may leave frames to be sent.
///
/// No stream can be opened before the origin's SETTINGS are here, and no more than it allows; so
/// ask `can_open` again after `receive`.
///
/// The receiver may send, cancel, or open other streams from inside any of its callbacks. A stream
/// is over when its response is. Errors beside those of any codec: StreamRefused, the origin has
/// not processed the request (REFUSED_STREAM, or a GOAWAY that does not cover it), so any request
/// may be sent again elsewhere, or it wants HTTP/1.1 (HTTP_1_1_REQUIRED); UpgradeUnsupported, it
/// does not take extended CONNECT.
///
/// A request with `upgrade` goes out as extended CONNECT (RFC 8441), and a 2xx to it comes up as
/// 101.
class ClientCodec final : public http::ClientCodec, private SessionEvents {
 public:
  ClientCodec(OutputBuffer& output, const Limits& limits, std::string_view scheme,
              const Settings& settings = {});
  ClientCodec(const ClientCodec&) = delete;
  ClientCodec& operator=(const ClientCodec&) = delete;
  ~ClientCodec() override;

  StreamId open(ResponseReceiver& receiver) override;
  bool can_open() const override;
  void send_head(StreamId stream, const RequestHead& head, bool end) override;
  void send_body(StreamId stream, std::string_view bytes) override;
  void send_end(StreamId stream, const Headers& trailers) override;
  void cancel(StreamId stream) override;

  void receive(std::string_view bytes) override;
  void receive_eof() override { fail(ErrorCode::OriginClosed); }
  void fail(ErrorCode code) override;

  bool pause(StreamId stream) override;
  void resume(StreamId stream) override;
  bool write_blocked(StreamId stream) const override;
  void produce(bool blocked) override;
  bool has_more() const override { return session_.has_more(); }
  size_t streams_allowed() const override;
  bool takes_upgrades() const override { return session_.peer_takes_tunnels(); }

  bool asks_for_http1() const override { return asks_for_http1_; }

  bool idle() const override { return streams_ == 0; }
  bool done() const override {
    return session_.terminating() || session_.goaway_received() || ids_spent_ ||
           !session_.ids_left();
  }
  bool write_finished() const override { return false; }

  /// Streams that are open; never more than the origin allows.
  uint32_t open_streams() const { return streams_; }
  void ping() override;
  /// The last one was not answered yet.
  bool ping_pending() const { return ping_pending_; }

 private:
  struct ClientStream;

  void on_fields(int32_t wire_id, Stream* stream, bool end) override;
  void on_data(Stream& stream, std::string_view bytes) override;
  void on_end(Stream& stream) override;
  void on_end_sent(Stream&) override {}
  void on_closed(Stream& stream, uint32_t code, bool by_peer) override;
  void on_writable(Stream& stream) override;
  void on_ping_ack() override { ping_pending_ = false; }
  void on_goaway() override;
  void on_over() override {}

  ClientStream* find(StreamId stream) const;
  void receive_head(ClientStream& stream, bool end);
  void receive_interim(ClientStream& stream);
  void receive_trailers(ClientStream& stream, bool end);
  void end_response(ClientStream& stream, bool with_head);
  void fail_stream(ClientStream& stream, ErrorCode code);
  void drop(ClientStream& stream, uint32_t code);
  void leave(ClientStream& stream);
  void free(ClientStream& stream);

  const Limits& limits_;
  std::string_view scheme_;
  Session session_;
  std::vector<ClientStream*> slots_;  // by the low half of a StreamId
  std::vector<uint16_t> free_slots_;
  uint32_t streams_ = 0;  // with a receiver
  uint16_t generation_ = 0;
  ErrorCode failure_ = ErrorCode::BadResponse;  // what ends the streams that are left
  bool ids_spent_ = false;
  bool asks_for_http1_ = false;
  bool ping_pending_ = false;
};

}  // namespace tidegate::http::http2
