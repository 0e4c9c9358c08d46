// SPDX-License-Identifier: Apache-2.0
#include "http/http2/session_callbacks.h"

#include <new>

#include "base/limits.h"
#include "http/http2/memory.h"
#include "http/http2/session.h"

namespace tidegate::http::http2 {
namespace {

constexpr size_t kFrameHeader = 9;
// nghttp2 counts resets by the wall clock; FrameBudget does it by work.
constexpr uint64_t kNoResetLimit = uint64_t{1} << 40;
constexpr size_t kMaxSettings = 32;  // entries of one frame
// Bytes of one header block to be sent, as nghttp2 bounds it: the texts, and 12 bytes for each
// field. What was accepted can go out, by whatever limits, and as much again that scripts have
// added; nghttp2 would stop at 64 KiB.
constexpr size_t kMaxBlock = 2 * kMostHeaderBytes;
// nghttp2 counts reads of a CONTINUATION's header too; Session counts the frames themselves.
constexpr size_t kNoContinuationLimit = size_t{1} << 20;

std::string_view text_of(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

/// nghttp2's callbacks, as calls of the session's own functions.
struct SessionCallbacks {
  static Session& session_of(void* user) { return *static_cast<Session*>(user); }
  static int go_on(const Session& session) {
    // What follows must not be processed, and nghttp2 only stops at an error.
    return session.terminating_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
  }

  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* header, void* user) {
    Session& session = session_of(user);
    session.on_begin_frame(*header);
    return go_on(session);
  }
  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    session_of(user).begin_block(frame->hd.stream_id);
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf* name,
                    nghttp2_rcbuf* value, uint8_t, void* user) {
    Session& session = session_of(user);
    session.block_.add(name, value, session.limits_);
    return 0;
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Session& session = session_of(user);
    session.on_frame(*frame);
    return go_on(session);
  }
  static int data_chunk(nghttp2_session* raw, uint8_t, int32_t id, const uint8_t* bytes,
                        size_t size, void* user) {
    Session& session = session_of(user);
    auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(raw, id));
    session.on_data_chunk(stream, text_of(bytes, size));
    return go_on(session);
  }
  static int stream_close(nghttp2_session* raw, int32_t id, uint32_t code, void* user) {
    Session& session = session_of(user);
    auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(raw, id));
    if (stream == nullptr) return 0;
    nghttp2_session_set_stream_user_data(raw, id, nullptr);
    session.give_up_block(id);
    session.forget(*stream);
    session.events_.on_closed(*stream, code, session.receiving_);
    return 0;
  }
  static int sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    session_of(user).on_sent(*frame);
    return 0;
  }
  static int not_sent(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    if (error == NGHTTP2_ERR_FRAME_SIZE_ERROR) session_of(user).on_not_sent(*frame);
    return 0;
  }
  static ssize_t read_body(nghttp2_session*, int32_t, uint8_t*, size_t most, uint32_t* flags,
                           nghttp2_data_source* source, void* user) {
    return session_of(user).read_body(*static_cast<Stream*>(source->ptr), most, *flags);
  }
  static int send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* header, size_t size,
                       nghttp2_data_source* source, void* user) {
    session_of(user).write_data(*static_cast<Stream*>(source->ptr), text_of(header, kFrameHeader),
                                size);
    return 0;
  }
};

namespace {

nghttp2_session_callbacks* make_callbacks() {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
  using C = SessionCallbacks;
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, C::begin_frame);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, C::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback2(callbacks, C::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, C::frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, C::data_chunk);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, C::stream_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, C::sent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, C::not_sent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, C::send_data);
  return callbacks;
}

}  // namespace

nghttp2_session* new_session(bool server, const Settings& settings, Session& owner) {
  // Immutable, and shared by all sessions of all workers.
  static nghttp2_session_callbacks* const callbacks = make_callbacks();
  nghttp2_option* option = nullptr;
  if (nghttp2_option_new(&option) != 0) throw std::bad_alloc();
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  // The rules for heads are checked where they are read (head_reader.h), which is stricter, tells
  // the exchange, and looks at every byte once.
  nghttp2_option_set_no_http_messaging(option, 1);
  nghttp2_option_set_stream_reset_rate_limit(option, kNoResetLimit, kNoResetLimit);
  nghttp2_option_set_max_outbound_ack(option, settings.unsent_acks);
  nghttp2_option_set_max_settings(option, kMaxSettings);
  nghttp2_option_set_max_continuations(option, kNoContinuationLimit);
  nghttp2_option_set_max_reserved_remote_streams(option, 0);
  nghttp2_option_set_max_send_header_block_length(option, kMaxBlock);
  nghttp2_session* session = nullptr;
  const int failed =
      server ? nghttp2_session_server_new3(&session, callbacks, &owner, option, session_memory())
             : nghttp2_session_client_new3(&session, callbacks, &owner, option, session_memory());
  nghttp2_option_del(option);
  if (failed != 0) throw std::bad_alloc();
  return session;
}

nghttp2_data_provider body_provider(Stream& stream) {
  nghttp2_data_provider provider;
  provider.source.ptr = &stream;
  provider.read_callback = SessionCallbacks::read_body;
  return provider;
}

}  // namespace tidegate::http::http2
