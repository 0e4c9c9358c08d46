// SPDX-License-Identifier: Apache-2.0
#include "http/http2/session.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <new>

#include "http/http2/session_callbacks.h"

namespace tidegate::http::http2 {
namespace {

constexpr size_t kFrameHeader = 9;
constexpr size_t kFlushSize = 256 * 1024;  // what one flush appends, about
constexpr uint32_t kLastId = 0x7fff0000;   // below the end of all ids by more than a peer opens
constexpr int64_t kEmptyCost = 20;         // of a DATA frame without bytes
constexpr int64_t kDataEarns = 10;         // WINDOW_UPDATEs may answer it
constexpr int64_t kHeadEarns = 2;
constexpr uint32_t kContinuations = 8;     // of one header block, beyond those its limit may fill
constexpr size_t kLeastFrame = 16 * 1024;  // what any peer may put into one

uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

}  // namespace

Session::Session(Role role, OutputBuffer& output, SessionEvents& events, const Settings& settings,
                 const Limits& limits)
    : role_(role),
      output_(output),
      events_(events),
      limits_(limits),
      ledger_(role == Role::Server ? StreamLedger::Of::Client : StreamLedger::Of::Origin,
              settings.max_concurrent_streams),
      budget_(settings) {
  session_ = new_session(role == Role::Server, settings, *this);
  submit_settings(role, settings);
}

void Session::submit_settings(Role role, const Settings& settings) {
  std::array<nghttp2_settings_entry, 7> entries{{
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, settings.max_frame_size},
      {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, settings.header_table},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits_.header_bytes)},
  }};
  size_t count = 4;
  if (role == Role::Server) {
    entries[count++] = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.max_concurrent_streams};
    entries[count++] = {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
    // The tree of RFC 7540 costs memory and time that the peer decides on.
    entries[count++] = {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
  } else {
    entries[count++] = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    entries[count++] = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0};
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), count);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(settings.connection_window));
}

Session::~Session() {
  block_.clear();
  nghttp2_session_del(session_);
}

// ---- in ----

void Session::receive(std::string_view bytes) {
  read_.clear();
  if (terminating_) return;
  assert(!receiving_ && !producing_);
  const StreamLedger::Breach breach = ledger_.read(bytes);
  if (breach.code != NGHTTP2_NO_ERROR) bytes = bytes.substr(0, breach.at);
  budget_.earn_frames(1);
  budget_.read(bytes.size());
  if (budget_.spent()) return terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  receiving_ = true;
  const ssize_t taken = nghttp2_session_mem_recv(session_, bytes_of(bytes), bytes.size());
  receiving_ = false;
  if (taken < 0 && !terminating_) {
    if (taken == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
    // Too many acknowledgements, settings or continuations; else bytes that are no HTTP/2 at all.
    terminate(taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR
                                                    : NGHTTP2_ENHANCE_YOUR_CALM);
  }
  if (breach.code != NGHTTP2_NO_ERROR) terminate(breach.code);
}

void Session::on_begin_frame(const nghttp2_frame_hd& header) {
  budget_.looked_at(header.length + kFrameHeader);
  switch (header.type) {
    case NGHTTP2_HEADERS:
      continuations_ = 0;
      budget_.begin_stream();
      // HEADERS on a stream that has ended make no progress, so an origin earns nothing for them.
      if (role_ == Role::Client && !awaited(header.stream_id)) break;
      budget_.earn_frames(kHeadEarns);
      return;
    case NGHTTP2_DATA:
      chunk_seen_ = false;
      return;
    case NGHTTP2_CONTINUATION:
      if (++continuations_ > kContinuations + limits_.header_bytes / kLeastFrame) {
        return terminate(NGHTTP2_ENHANCE_YOUR_CALM);
      }
      break;
    case NGHTTP2_PRIORITY:
      // Otherwise ignored by a nghttp2 that was told to do without priorities.
      if (header.stream_id == 0) return terminate(NGHTTP2_PROTOCOL_ERROR);
      break;
    default:
      break;
  }
  charge(1);
}

bool Session::awaited(int32_t wire_id) const {
  const Stream* stream = find(wire_id);
  return stream != nullptr && !stream->reset;
}

/// A DATA frame has come that ends nothing. Padding alone is as good as empty. An origin may send
/// one such between two others: some do before their trailers.
void Session::note_progress(int32_t wire_id) {
  Stream* const stream = find(wire_id);
  const bool again = stream == nullptr || std::exchange(stream->empty_seen, !chunk_seen_);
  if (!chunk_seen_ && (again || role_ == Role::Server)) charge(kEmptyCost);
}

void Session::charge(int64_t cost) {
  budget_.spend_frames(cost);
  if (budget_.spent()) terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

void Session::on_frame(const nghttp2_frame& frame) {
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      end_block(frame, end);
      break;
    case NGHTTP2_DATA:
      if (!end) note_progress(frame.hd.stream_id);
      if (!end || terminating_) return;
      if (Stream* stream = find(frame.hd.stream_id)) events_.on_end(*stream);
      break;
    case NGHTTP2_RST_STREAM:
      // Called before the stream closes, with whatever code the peer chose.
      if (Stream* stream = find(frame.hd.stream_id)) stream->peer_reset = true;
      break;
    case NGHTTP2_SETTINGS:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) return;
      settings_received_ = true;
      events_.on_settings();
      break;
    case NGHTTP2_PING:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) events_.on_ping_ack();
      break;
    case NGHTTP2_GOAWAY:
      goaway_received_ = true;
      goaway_code_ = frame.goaway.error_code;
      events_.on_goaway();
      break;
    case NGHTTP2_PUSH_PROMISE:
      // It was sent before the settings that forbid it arrived.
      in_block_ = false;
      block_.clear();
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, frame.push_promise.promised_stream_id,
                                NGHTTP2_REFUSED_STREAM);
      break;
    default:
      break;
  }
}

void Session::begin_block(int32_t wire_id) {
  block_.clear();
  in_block_ = true;
  block_stream_ = wire_id;
}

void Session::give_up_block(int32_t wire_id) {
  if (!in_block_ || block_stream_ != wire_id) return;
  in_block_ = false;
  block_.clear();
}

void Session::end_block(const nghttp2_frame& frame, bool end) {
  in_block_ = false;
  budget_.spend_frames(static_cast<int64_t>(block_.dropped()));
  Stream* stream = find(frame.hd.stream_id);
  if (budget_.spent()) {
    terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  } else if (stream != nullptr || frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    events_.on_fields(frame.hd.stream_id, stream, end);
  }
  block_.clear();
  if (open_.empty()) block_.release();
}

void Session::on_data_chunk(Stream* stream, std::string_view bytes) {
  chunk_seen_ = true;
  nghttp2_session_consume_connection(session_, bytes.size());
  if (stream == nullptr) return;
  stream->unconsumed += static_cast<uint32_t>(bytes.size());
  if (!terminating_) events_.on_data(*stream, bytes);
  if (!stream->paused) resume(*stream);
}

void Session::resume(Stream& stream) {
  stream.paused = false;
  if (stream.unconsumed == 0) return;
  nghttp2_session_consume_stream(session_, stream.wire_id, stream.unconsumed);
  stream.unconsumed = 0;
}

// ---- streams ----

void Session::adopt(int32_t wire_id, Stream& stream) {
  stream.wire_id = wire_id;
  open_.push_back(stream);
  nghttp2_session_set_stream_user_data(session_, wire_id, &stream);
}

Stream* Session::find(int32_t wire_id) const {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_, wire_id));
}

bool Session::submit_request(Stream& stream, FieldSpan fields, bool end) {
  nghttp2_data_provider body = body_provider(stream);
  const int32_t id = nghttp2_submit_request(session_, nullptr, fields.data, fields.size,
                                            end ? nullptr : &body, &stream);
  if (id < 0) return false;
  stream.wire_id = id;
  open_.push_back(stream);
  ledger_.opened(static_cast<uint32_t>(id));
  return true;
}

void Session::submit_response(Stream& stream, FieldSpan fields, bool end) {
  nghttp2_data_provider body = body_provider(stream);
  nghttp2_submit_response(session_, stream.wire_id, fields.data, fields.size,
                          end ? nullptr : &body);
}

void Session::submit_interim(Stream& stream, FieldSpan fields) {
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.wire_id, nullptr, fields.data,
                         fields.size, nullptr);
}

void Session::send_body(Stream& stream, std::string_view bytes) {
  if (bytes.empty()) return;
  stream.out.append(bytes);
  if (!stream.ListNode<PendingStreams>::linked()) pending_.push_back(stream);
  wake(stream);
}

void Session::send_end(Stream& stream, const Headers& trailers) {
  if (!trailers.empty()) stream.trailers = std::make_unique<FieldList>(trailers);
  stream.out_ended = true;
  wake(stream);
}

void Session::wake(Stream& stream) {
  if (!stream.deferred) return;
  stream.deferred = false;
  nghttp2_session_resume_data(session_, stream.wire_id);
}

void Session::reset(Stream& stream, uint32_t code) {
  stream.out.clear();
  stream.ListNode<PendingStreams>::unlink();
  stream.ListNode<WritableStreams>::unlink();
  stream.blocked = false;
  stream.reset = true;
  give_up_block(stream.wire_id);
  resume(stream);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.wire_id, code);
}

void Session::forget(Stream& stream) {
  stream.ListNode<OpenStreams>::unlink();
  stream.ListNode<PendingStreams>::unlink();
  stream.ListNode<WritableStreams>::unlink();
  if (stream.shared) spent_.push_back(stream.out.release());
}

void Session::share(Stream& stream, uint8_t urgency) {
  const nghttp2_extpri priority{urgency, 1};
  nghttp2_session_change_extpri_stream_priority(session_, stream.wire_id, &priority, 0);
}

bool Session::expire_stalled() {
  bool waiting = false;
  pending_.for_each([&](Stream& stream) {
    if (std::exchange(stream.moved, false)) {
      waiting = true;
    } else {
      stream.stalled = true;
      reset(stream, NGHTTP2_CANCEL);
    }
  });
  return waiting;
}

// ---- out ----

void Session::produce(bool blocked) {
  if (over_ || producing_) return;
  if (blocked) return keep_pending();
  producing_ = true;
  // What the last flush borrowed has gone or been copied.
  spent_.clear();
  more_ = false;
  append_frames();
  keep_pending();
  producing_ = false;
  tell_writable();
  if (open_.empty() && !spent_.empty()) {
    // An idle connection keeps nothing.
    output_.settle();
    spent_ = std::vector<std::string>();  // `= {}` would keep the memory
  }
  check_over();
}

void Session::append_frames() {
  while (true) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
    if (size <= 0) {
      assert(size == 0);
      return;
    }
    output_.append({reinterpret_cast<const char*>(data), static_cast<size_t>(size)});
    // A peer that opens many windows at once must not have this turn to itself.
    if (output_.size() >= kFlushSize) {
      more_ = true;
      return;
    }
  }
}

ssize_t Session::read_body(Stream& stream, size_t most, uint32_t& flags) {
  const size_t waiting = stream.out.size();
  if (waiting == 0 && !stream.out_ended) {
    stream.deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (waiting > most || !stream.out_ended) return static_cast<ssize_t>(std::min(waiting, most));
  flags |= NGHTTP2_DATA_FLAG_EOF;
  if (stream.trailers != nullptr) {
    flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const FieldSpan fields = stream.trailers->span();
    nghttp2_submit_trailer(session_, stream.wire_id, fields.data, fields.size);
    stream.trailers.reset();
  }
  return static_cast<ssize_t>(waiting);
}

void Session::write_data(Stream& stream, std::string_view header, size_t size) {
  output_.append(header);
  std::string spent;
  stream.shared |= stream.out.take(size, output_, spent);
  if (!spent.empty()) spent_.push_back(std::move(spent));
  stream.moved = true;
  budget_.earn_frames(kDataEarns);
  if (!stream.out.empty()) return;
  stream.shared = false;  // the output borrows from `spent_`, if at all
  stream.ListNode<PendingStreams>::unlink();
  if (std::exchange(stream.blocked, false) && !stream.out_ended) writable_.push_back(stream);
}

void Session::on_sent(const nghttp2_frame& frame) {
  const bool can_end = frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA;
  if (!can_end || (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
  if (Stream* stream = find(frame.hd.stream_id)) events_.on_end_sent(*stream);
}

/// A header block that is too long to be sent: its stream would wait for it for ever.
void Session::on_not_sent(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS) return;
  Stream* const stream = find(frame.hd.stream_id);
  if (stream == nullptr || stream->reset) return;
  stream->unsendable = true;
  // The peer knows nothing of a stream that this block would have opened; nghttp2 closes it.
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) reset(*stream, NGHTTP2_INTERNAL_ERROR);
}

void Session::keep(Stream& stream) {
  // Kept bytes may move when more is kept behind them.
  if (std::exchange(stream.shared, false) && stream.out.lends()) output_.settle();
  stream.out.keep();
}

void Session::keep_pending() {
  pending_.for_each([this](Stream& stream) {
    keep(stream);
    stream.blocked = true;
  });
}

void Session::tell_writable() {
  while (!writable_.empty()) events_.on_writable(writable_.pop_front());
}

void Session::check_over() {
  if (nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0) return;
  over_ = terminating_ = true;
  end_all();
}

void Session::end_all() {
  while (!open_.empty()) {
    Stream& stream = open_.front();
    nghttp2_session_set_stream_user_data(session_, stream.wire_id, nullptr);
    forget(stream);
    events_.on_closed(stream, NGHTTP2_CANCEL, true);
  }
  events_.on_over();
}

// ---- the connection ----

void Session::ping() {
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
}

void Session::announce_goaway() {
  nghttp2_submit_shutdown_notice(session_);
}

void Session::goaway() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

void Session::terminate(uint32_t code) {
  if (std::exchange(terminating_, true)) return;
  nghttp2_session_terminate_session(session_, code);
}

void Session::abandon() {
  if (over_) return;
  over_ = terminating_ = true;
  end_all();
}

uint32_t Session::peer_max_streams() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool Session::ids_left() const {
  return nghttp2_session_get_next_stream_id(session_) < kLastId;
}

bool Session::peer_takes_tunnels() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) ==
         1;
}

}  // namespace tidegate::http::http2
