// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/codec.h"
#include "http/http1/body_reader.h"
#include "http/http1/body_writer.h"
#include "http/http1/head_collector.h"

namespace tidegate::http::http1 {

/// Server side of an HTTP/1.x connection (RFC 9112): one stream at a time, pipelined requests in
/// order. An idle codec owns no memory beside itself. All arguments outlive it.
///
/// The receiver may send, or reset, from inside any of its callbacks; then the next request may
/// begin before `receive` returns. What `receive` did not take is to be given again after the
/// stream has ended, and also after a tunnel was opened; `receive_eof` comes after all of it was
/// taken.
///
/// A response may end before its request has. A short rest of the request is then read and dropped;
/// otherwise the connection ends, and the response's head says so where it is known by then.
class ServerCodec final : public http::ServerCodec {
 public:
  ServerCodec(OutputBuffer& output, ServerCodecOwner& owner, const Limits& limits)
      : output_(output), owner_(owner), limits_(limits) {}
  ServerCodec(const ServerCodec&) = delete;
  ServerCodec& operator=(const ServerCodec&) = delete;

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

  uint32_t open_streams() const override { return response_ == Response::None ? 0 : 1; }
  bool idle() const override { return response_ == Response::None && !receiving_head(); }
  bool receiving_head() const override {
    return request_ == Request::Head && (collector_.waiting() || after_return_);
  }
  bool done() const override { return done_; }
  bool write_finished() const override { return write_finished_; }
  bool truncated() const override { return truncated_; }

 private:
  //   Head ──► Body ──► Complete ──► Head …       Ignored: from any state, to the connection's end
  //     └────────────────▲  └──► Tunnel ──► Complete
  enum class Request : uint8_t { Head, Body, Complete, Tunnel, Ignored };
  //   None ──► Awaited ──► Started ──► None …
  //                           └──► Ended ──► None      a tunnel that the client keeps open
  enum class Response : uint8_t { None, Awaited, Started, Ended };

  size_t receive_head(std::string_view bytes);
  size_t skip_empty_lines(std::string_view bytes);
  void open_stream();
  void begin_request(const HeadCollector::Collected& found);
  size_t receive_body(std::string_view bytes);
  void end_request();
  void fail_request(ErrorCode code);

  bool is_current(StreamId stream, Response state) const {
    return stream == stream_ && response_ == state;
  }
  bool body_unwanted() const;
  bool can_outlast_request(const ResponseHead& head, bool end) const;
  HeadFraming frame(const ResponseHead& head, bool end) const;
  void begin_tunnel();
  void end_response();
  void close();

  OutputBuffer& output_;
  ServerCodecOwner& owner_;
  const Limits& limits_;
  RequestReceiver* receiver_ = nullptr;  // null: no stream, or the rest of its request is dropped
  RequestHead* head_ = nullptr;
  HeadCollector collector_;
  BodyReader body_;
  BodyWriter writer_;
  StreamId stream_ = 0;
  Request request_ = Request::Head;
  Response response_ = Response::None;
  uint8_t empty_lines_ = 0;        // before the request line that is awaited
  bool after_return_ : 1 = false;  // half of an empty line has arrived
  bool persists_ : 1 = true;       // the connection goes on after this stream
  bool http10_ : 1 = false;
  bool to_head_ : 1 = false;          // the request is HEAD
  bool awaits_continue_ : 1 = false;  // the client holds the body back until told
  bool eof_ : 1 = false;
  bool draining_ : 1 = false;
  bool done_ : 1 = false;
  bool write_finished_ : 1 = false;
  bool truncated_ : 1 = false;
};

}  // namespace tidegate::http::http1
