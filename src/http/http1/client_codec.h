// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/codec.h"
#include "http/http1/body_reader.h"
#include "http/http1/body_writer.h"
#include "http/http1/head_collector.h"
#include "http/http1/response_parser.h"

namespace tidegate::http::http1 {

/// Client side of an HTTP/1.1 connection: one stream at a time, no pipelining. An idle codec owns
/// no memory beside itself. All arguments outlive it.
///
/// The receiver may send, cancel, or open the next stream from inside any of its callbacks. The
/// stream is over when its response is; if the request had not ended by then, the codec is done.
/// Bytes behind a response, or before a request, are never read as a response: the codec is done.
///
/// A 101 to a request with `upgrade` makes a tunnel: send_body and send_end begin anew, and
/// on_response_end says only that the origin has ended its direction; the stream stays open until
/// send_end, or cancel.
class ClientCodec final : public http::ClientCodec {
 public:
  ClientCodec(OutputBuffer& output, const Limits& limits) : output_(output), limits_(limits) {}
  ClientCodec(const ClientCodec&) = delete;
  ClientCodec& operator=(const ClientCodec&) = delete;

  StreamId open(ResponseReceiver& receiver) override;
  bool can_open() const override { return !done_ && response_ == Response::None; }
  void send_head(StreamId stream, const RequestHead& head, bool end) override;
  void send_body(StreamId stream, std::string_view bytes) override;
  void send_end(StreamId stream, const Headers& trailers) override;
  void cancel(StreamId stream) override;

  void receive(std::string_view bytes) override;
  void receive_eof() override;
  void fail(ErrorCode code) override;

  bool idle() const override { return response_ == Response::None; }
  bool done() const override { return done_; }
  bool write_finished() const override { return write_finished_; }

 private:
  // None ──► Opened ──► Head ──► Body ──► None …
  //                       └──► Tunnel ──► Ended ──► None     the origin has ended, the client not
  enum class Response : uint8_t { None, Opened, Head, Body, Tunnel, Ended };
  enum class Request : uint8_t { None, Started, Ended };

  bool is_sending(StreamId stream) const {
    return stream == stream_ && request_ == Request::Started;
  }
  size_t skip_empty_line(std::string_view bytes);
  size_t receive_head(std::string_view bytes);
  void begin_response(const HeadCollector::Collected& found, bool more);
  void receive_interim(const ResponseHead& head);
  void begin_tunnel();
  size_t receive_body(std::string_view bytes);
  ResponseReceiver& close_stream(bool more);

  OutputBuffer& output_;
  const Limits& limits_;
  ResponseReceiver* receiver_ = nullptr;
  ResponseHead* head_ = nullptr;
  HeadCollector collector_;
  BodyReader body_;
  BodyWriter writer_;
  StreamId stream_ = 0;
  Request request_ = Request::None;
  Response response_ = Response::None;
  uint8_t interims_ = 0;
  bool to_head_ : 1 = false;    // the request is HEAD
  bool upgrading_ : 1 = false;  // the request asks for another protocol
  bool persists_ : 1 = true;    // the origin keeps the connection after this response
  bool done_ : 1 = false;
  bool write_finished_ : 1 = false;
  bool after_return_ : 1 = false;    // half of an empty line has arrived
  bool line_skipped_ : 1 = false;    // an empty line, before this stream's response
  bool framed_interim_ : 1 = false;  // an interim response announced a body
};

}  // namespace tidegate::http::http1
