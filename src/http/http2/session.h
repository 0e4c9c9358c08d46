// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/output_buffer.h"
#include "http/codec.h"
#include "http/http2/field_block.h"
#include "http/http2/field_list.h"
#include "http/http2/frame_budget.h"
#include "http/http2/settings.h"
#include "http/http2/stream.h"
#include "http/http2/stream_ledger.h"

namespace tidegate::http::http2 {

/// What a session tells its codec, from inside `receive`, or from inside `produce` where that is
/// said. The codec may submit whatever it wants in all of them, and must not call `receive` or
/// `produce`.
class SessionEvents {
 public:
  /// A header block is complete: `fields()` holds it until this returns. `stream` is null for one
  /// that opens a stream.
  virtual void on_fields(int32_t wire_id, Stream* stream, bool end) = 0;
  /// `bytes` are valid until the flush that ends the callback of the transport.
  virtual void on_data(Stream& stream, std::string_view bytes) = 0;
  /// END_STREAM came on a DATA frame.
  virtual void on_end(Stream& stream) = 0;
  /// END_STREAM has been sent. From inside `produce`.
  virtual void on_end_sent(Stream& stream) = 0;
  /// The stream is over and forgotten; the codec frees it. `code` as in RFC 9113 7. `by_peer`: it
  /// is the peer who broke it off, or the connection. Also from inside `produce`.
  virtual void on_closed(Stream& stream, uint32_t code, bool by_peer) = 0;
  /// What waited after the last `produce` has gone. At the end of `produce`.
  virtual void on_writable(Stream& stream) = 0;
  virtual void on_goaway() {}
  virtual void on_settings() {}
  virtual void on_ping_ack() {}
  /// No stream of this connection goes on. From inside either, after all else.
  virtual void on_over() = 0;

 protected:
  ~SessionEvents() = default;
};

/// One nghttp2 session and what both codecs need around it: flow control, bodies on their way out,
/// and the counting of floods. Owned by a codec; all arguments outlive it.
///
/// Output. Whatever is submitted waits inside nghttp2 until `produce`, which the connection calls
/// once per flush. There frames are appended to the output buffer: heads and control frames are
/// copied, bodies are borrowed from whoever sent them.
class Session {
 public:
  enum class Role : uint8_t { Server, Client };

  Session(Role role, OutputBuffer& output, SessionEvents& events, const Settings& settings,
          const Limits& limits);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  void receive(std::string_view bytes);
  /// See ServerCodec::produce.
  void produce(bool blocked);
  /// See ServerCodec::has_more.
  bool has_more() const { return more_; }
  /// Another request can be submitted, with room for those that are about to be.
  bool ids_left() const;

  const FieldBlock& fields() const { return block_; }
  /// A header block has begun and not ended.
  bool in_header_block() const { return in_block_; }
  /// The stream it is for.
  int32_t block_stream() const { return block_stream_; }

  /// Forgets the block at work, if it is of that stream: nghttp2 says nothing of the end of one
  /// whose stream is gone by then.
  void give_up_block(int32_t wire_id);

  /// Makes `stream` the one of that id; until on_closed.
  void adopt(int32_t wire_id, Stream& stream);
  Stream* find(int32_t wire_id) const;
  /// Submits a request. False: no stream id is left.
  bool submit_request(Stream& stream, FieldSpan fields, bool end);
  /// A response's final head.
  void submit_response(Stream& stream, FieldSpan fields, bool end);
  void submit_interim(Stream& stream, FieldSpan fields);
  void send_body(Stream& stream, std::string_view bytes);
  void send_end(Stream& stream, const Headers& trailers);
  void reset(Stream& stream, uint32_t code);
  /// The body may be long: it shares the connection with its like in turns. `urgency`: 0 first, 7
  /// last (RFC 9218). Servers only.
  void share(Stream& stream, uint8_t urgency);

  void pause(Stream& stream) { stream.paused = true; }
  void resume(Stream& stream);
  /// Keeps bytes alive that receivers may have lent to another connection.
  std::string_view keep_until_read(std::string&& bytes) {
    return read_.emplace_front(std::move(bytes));
  }

  void ping();
  /// GOAWAY that takes no stream back (RFC 9113 6.8), then one that names the last.
  void announce_goaway();
  void goaway();
  /// Ends the connection: GOAWAY with `code`, then over.
  void terminate(uint32_t code);
  /// The connection has ended by itself: nothing more can be sent.
  void abandon();
  /// The connection has ended, and what is to be said of it has been appended.
  bool over() const { return over_; }
  /// It will end: `terminate` was called, or nghttp2 did so by itself.
  bool terminating() const { return terminating_; }

  /// Resets streams of which bytes have waited for the peer's windows and none has gone since the
  /// last call. True: there are streams that wait.
  bool expire_stalled();

  bool settings_received() const { return settings_received_; }
  uint32_t peer_max_streams() const;
  bool peer_takes_tunnels() const;
  bool goaway_received() const { return goaway_received_; }
  /// The error code of the last GOAWAY received.
  uint32_t goaway_code() const { return goaway_code_; }
  FrameBudget& budget() { return budget_; }
  template <class Visit>
  void for_each_stream(Visit&& visit) {
    open_.for_each(visit);
  }

 private:
  friend struct SessionCallbacks;

  void submit_settings(Role role, const Settings& settings);
  void append_frames();
  void keep(Stream& stream);
  void keep_pending();
  void tell_writable();
  void check_over();
  void end_all();
  void begin_block(int32_t wire_id);
  void end_block(const nghttp2_frame& frame, bool end);
  void forget(Stream& stream);
  /// More of its messages may come.
  bool awaited(int32_t wire_id) const;
  void note_progress(int32_t wire_id);
  void charge(int64_t cost);
  void on_begin_frame(const nghttp2_frame_hd& header);
  void on_frame(const nghttp2_frame& frame);
  void on_data_chunk(Stream* stream, std::string_view bytes);
  void on_sent(const nghttp2_frame& frame);
  void on_not_sent(const nghttp2_frame& frame);
  ssize_t read_body(Stream& stream, size_t most, uint32_t& flags);
  void write_data(Stream& stream, std::string_view header, size_t size);
  void wake(Stream& stream);

  nghttp2_session* session_ = nullptr;
  const Role role_;
  OutputBuffer& output_;
  SessionEvents& events_;
  const Limits& limits_;
  FieldBlock block_;
  StreamLedger ledger_;
  FrameBudget budget_;
  List<Stream, OpenStreams> open_;
  List<Stream, PendingStreams> pending_;  // with bytes in `out`
  List<Stream, WritableStreams> writable_;
  std::vector<std::string> spent_;       // borrowed by the output until it is flushed
  std::forward_list<std::string> read_;  // views of them stay good as it grows
  bool receiving_ = false;
  bool producing_ = false;
  bool in_block_ = false;
  bool chunk_seen_ = false;  // of the DATA frame at work
  int32_t block_stream_ = 0;
  uint32_t continuations_ = 0;  // of the block at work
  bool more_ = false;           // the last `produce` stopped early
  bool terminating_ = false;
  bool over_ = false;
  bool settings_received_ = false;
  bool goaway_received_ = false;
  uint32_t goaway_code_ = 0;
};

}  // namespace tidegate::http::http2
