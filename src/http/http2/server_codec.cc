// SPDX-License-Identifier: Apache-2.0
#include "http/http2/server_codec.h"

#include <cassert>

#include "http/http2/head_reader.h"
#include "http/http2/priority.h"
#include "http/http2/reset_code.h"

namespace tidegate::http::http2 {
namespace {

constexpr uint16_t kSwitchingProtocols = 101;
constexpr uint16_t kOk = 200;
constexpr uint64_t kUnlimited = UINT64_MAX;
constexpr size_t kOneFrame = 16 * 1024;  // a body up to this needs no turns

bool has_no_body(uint16_t status) {
  return status == 204 || status == 304;
}

}  // namespace

struct ServerCodec::ServerStream final : Stream {
  //   Body ──► Complete       Broken: malformed; what still comes is dropped
  //   Held ──► Tunnel ──► Complete    a request for a tunnel: what comes early waits for the 101
  enum class Request : uint8_t { Body, Complete, Broken, Held, Tunnel };
  enum class Response : uint8_t { Awaited, Started, Ended };

  RequestReceiver* receiver = nullptr;  // null: nobody listens any more
  RequestHead* head = nullptr;          // valid as long as `receiver` is
  uint64_t body_received = 0;
  uint64_t body_length = kUnlimited;
  uint64_t response_left = kUnlimited;  // of a Sized body
  std::string held;
  Request request = Request::Body;
  Response response = Response::Awaited;
  uint8_t urgency = kDefaultUrgency;
  bool held_end = false;
  bool to_head = false;
  bool tunnel = false;  // asked for
};

ServerCodec::ServerCodec(OutputBuffer& output, ServerCodecOwner& owner, const Limits& limits,
                         const Settings& settings)
    : limits_(limits),
      owner_(owner),
      session_(Session::Role::Server, output, *this, settings, limits) {}

ServerCodec::~ServerCodec() {
  session_.for_each_stream([](Stream& stream) { delete static_cast<ServerStream*>(&stream); });
}

ServerCodec::ServerStream* ServerCodec::find(StreamId stream) const {
  return static_cast<ServerStream*>(session_.find(static_cast<int32_t>(stream)));
}

// ---- the request ----

size_t ServerCodec::receive(std::string_view bytes) {
  session_.receive(bytes);
  return bytes.size();
}

void ServerCodec::on_fields(int32_t wire_id, Stream* stream, bool end) {
  if (stream == nullptr) return begin_request(wire_id, end);
  receive_trailers(*static_cast<ServerStream*>(stream), end);
}

ServerCodec::ServerStream& ServerCodec::open_stream(int32_t wire_id) {
  auto* stream = new ServerStream;
  session_.adopt(wire_id, *stream);
  ++streams_;
  const ServerCodecOwner::Begun begun = owner_.begin_request(static_cast<StreamId>(wire_id));
  stream->head = begun.head;
  stream->receiver = begun.receiver;
  if (begun.last && !std::exchange(last_named_, true)) session_.goaway();
  return *stream;
}

void ServerCodec::begin_request(int32_t wire_id, bool end) {
  if (last_named_) return;  // above the last: the GOAWAY, once sent, ends it as not processed
  ServerStream& stream = open_stream(wire_id);
  RequestHead& head = *stream.head;
  const ErrorCode error = read_request(session_.fields(), limits_, end, head);
  stream.to_head = head.method == Method::Head;
  if (error != ErrorCode::None) {
    if (end) stream.held_end = true;
    return fail_request(stream, error);
  }
  stream.urgency = urgency_of(head.headers);
  stream.tunnel = !head.upgrade.empty() || head.method == Method::Connect;
  if (stream.tunnel) {
    stream.request = ServerStream::Request::Held;
    stream.held_end = end;
    return stream.receiver->on_request_head(true);
  }
  if (head.body == BodyKind::Sized) stream.body_length = head.content_length;
  if (end) stream.request = ServerStream::Request::Complete;
  stream.receiver->on_request_head(end);
}

void ServerCodec::on_data(Stream& base, std::string_view bytes) {
  auto& stream = static_cast<ServerStream&>(base);
  using Request = ServerStream::Request;
  switch (stream.request) {
    case Request::Body:
      return receive_body(stream, bytes);
    case Request::Tunnel:
      if (stream.receiver != nullptr) stream.receiver->on_request_body(bytes);
      break;
    case Request::Held:
      // The window stays shut for them, so there is no more than one window of it.
      session_.pause(stream);
      stream.held.append(bytes);
      break;
    case Request::Complete:
    case Request::Broken:
      break;
  }
}

void ServerCodec::receive_body(ServerStream& stream, std::string_view bytes) {
  const std::string_view within = bytes.substr(0, stream.body_length - stream.body_received);
  stream.body_received += within.size();
  if (stream.receiver != nullptr && !within.empty()) stream.receiver->on_request_body(within);
  const bool excess = within.size() < bytes.size();
  if (excess && stream.request == ServerStream::Request::Body) {
    fail_request(stream, ErrorCode::BadRequest);
  }
}

void ServerCodec::on_end(Stream& base) {
  auto& stream = static_cast<ServerStream&>(base);
  using Request = ServerStream::Request;
  switch (stream.request) {
    case Request::Body:
      if (stream.body_length != kUnlimited && stream.body_received != stream.body_length) {
        stream.held_end = true;
        return fail_request(stream, ErrorCode::BadRequest);
      }
      return end_request(stream);
    case Request::Tunnel:
      return end_request(stream);
    case Request::Held:
    case Request::Broken:
      stream.held_end = true;
      return;
    case Request::Complete:
      return;
  }
}

void ServerCodec::receive_trailers(ServerStream& stream, bool end) {
  if (stream.request != ServerStream::Request::Body) {
    // RFC 9113 8.5: a tunnel has nothing but DATA.
    if (stream.tunnel) fail_request(stream, ErrorCode::BadRequest);
    return;
  }
  stream.held_end = end;
  // A block in the midst of a body is neither head nor trailers (RFC 9113 8.1).
  if (!end) return fail_request(stream, ErrorCode::BadRequest);
  if (stream.receiver != nullptr && !stream.head->drops_trailers &&
      !read_trailers(session_.fields(), limits_, TrailersOf::Request, stream.head->trailers)) {
    return fail_request(
        stream, session_.fields().too_large() ? ErrorCode::HeadersTooLarge : ErrorCode::BadRequest);
  }
  on_end(stream);
}

void ServerCodec::end_request(ServerStream& stream) {
  stream.request = ServerStream::Request::Complete;
  RequestReceiver* const receiver = stream.receiver;
  if (stream.response == ServerStream::Response::Ended) stream.receiver = nullptr;
  if (receiver != nullptr) receiver->on_request_end();
}

/// The exchange answers, or resets; then the stream ends with an error whatever it said.
void ServerCodec::fail_request(ServerStream& stream, ErrorCode code) {
  stream.request = ServerStream::Request::Broken;
  session_.resume(stream);
  session_.budget().spend_reset();
  if (session_.budget().spent()) return session_.terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  if (stream.receiver != nullptr) {
    stream.receiver->on_request_error(code);
  } else {
    session_.reset(stream, reset_code(code));
  }
}

void ServerCodec::expire_head() {
  // What is half there holds up all that would follow it, so the connection ends.
  if (!std::exchange(last_named_, true)) session_.goaway();
  if (ServerStream* known = find(static_cast<StreamId>(session_.block_stream()))) {
    session_.give_up_block(known->wire_id);
    return fail_request(*known, ErrorCode::RequestTimeout);  // its trailers
  }
  ServerStream& stream = open_stream(session_.block_stream());
  read_request(session_.fields(), limits_, false, *stream.head);
  fail_request(stream, ErrorCode::RequestTimeout);
}

void ServerCodec::receive_eof() {
  // Neither windows nor requests will come, and no client is known to live on half a connection.
  session_.abandon();
}

bool ServerCodec::pause(StreamId id) {
  if (ServerStream* stream = find(id)) session_.pause(*stream);
  return true;
}

void ServerCodec::resume(StreamId id) {
  ServerStream* stream = find(id);
  if (stream != nullptr && stream->request != ServerStream::Request::Held) {
    session_.resume(*stream);
  }
}

// ---- the response ----

void ServerCodec::send_interim(StreamId id, const ResponseHead& head) {
  assert(head.status >= 100 && head.status < 200 && head.status != kSwitchingProtocols);
  ServerStream* stream = find(id);
  if (stream == nullptr || stream->response != ServerStream::Response::Awaited) return;
  session_.submit_interim(*stream, response_fields(head, {head.status, false}));
}

void ServerCodec::send_head(StreamId id, const ResponseHead& head, bool end) {
  ServerStream* stream = find(id);
  if (stream == nullptr || stream->receiver == nullptr) return;
  if (stream->response != ServerStream::Response::Awaited) return;
  if (head.opens_tunnel()) return begin_tunnel(*stream, head);
  const bool bodiless = stream->to_head || has_no_body(head.status);
  const bool sized = head.body == BodyKind::Sized;
  // A 2xx says that a tunnel is open, which has no length (RFC 9110 9.3.6).
  const bool tunnel_status = stream->tunnel && head.status / 100 == 2;
  const bool announces =
      tunnel_status ? false
      : bodiless    ? head.status != 204 && (sized || head.headers.has(HeaderId::ContentLength))
                    : sized || head.body == BodyKind::None;
  session_.submit_response(*stream, response_fields(head, {head.status, announces}),
                           end || bodiless);
  stream->response = ServerStream::Response::Started;
  stream->out_ended = bodiless;
  if (sized) stream->response_left = head.content_length;
  if (!end && !bodiless && !(sized && head.content_length <= kOneFrame)) {
    session_.share(*stream, stream->urgency);
  }
  if (end) end_response(*stream);
}

void ServerCodec::begin_tunnel(ServerStream& stream, const ResponseHead& head) {
  if (stream.request != ServerStream::Request::Held) {  // nobody asked for a tunnel
    stream.receiver = nullptr;
    return session_.reset(stream, NGHTTP2_INTERNAL_ERROR);
  }
  session_.submit_response(stream, response_fields(head, {kOk, false}), false);
  stream.response = ServerStream::Response::Started;
  stream.request = ServerStream::Request::Tunnel;
  session_.share(stream, stream.urgency);
  if (!stream.held.empty()) {
    stream.receiver->on_request_body(session_.keep_until_read(std::move(stream.held)));
  }
  session_.resume(stream);
  if (stream.held_end && stream.receiver != nullptr) end_request(stream);
}

void ServerCodec::send_body(StreamId id, std::string_view bytes) {
  ServerStream* stream = find(id);
  if (stream == nullptr || stream->response != ServerStream::Response::Started) return;
  if (stream->out_ended) return;
  // More than was announced would make the response malformed.
  bytes = bytes.substr(0, stream->response_left);
  if (stream->response_left != kUnlimited) stream->response_left -= bytes.size();
  session_.send_body(*stream, bytes);
}

void ServerCodec::send_end(StreamId id, const Headers& trailers) {
  ServerStream* stream = find(id);
  if (stream == nullptr || stream->response != ServerStream::Response::Started) return;
  if (!stream->out_ended) {
    if (stream->response_left != kUnlimited && stream->response_left > 0) {
      stream->receiver = nullptr;  // cut short: the client must not take it for whole
      return session_.reset(*stream, NGHTTP2_INTERNAL_ERROR);
    }
    session_.send_end(*stream, trailers);
  }
  end_response(*stream);
}

void ServerCodec::end_response(ServerStream& stream) {
  stream.response = ServerStream::Response::Ended;
  if (stream.request == ServerStream::Request::Tunnel) return;
  stream.receiver = nullptr;
  // Nobody reads what may still come.
  session_.resume(stream);
}

void ServerCodec::on_end_sent(Stream& base) {
  auto& stream = static_cast<ServerStream&>(base);
  using Request = ServerStream::Request;
  if (stream.request == Request::Broken) {
    session_.reset(stream, NGHTTP2_PROTOCOL_ERROR);
  } else if (stream.request == Request::Body ||
             (stream.request == Request::Held && !stream.held_end)) {
    // RFC 9113 8.1: the response is complete, and the rest of the request is not wanted.
    session_.reset(stream, NGHTTP2_NO_ERROR);
  }
}

void ServerCodec::on_writable(Stream& base) {
  auto& stream = static_cast<ServerStream&>(base);
  if (stream.receiver != nullptr) stream.receiver->on_response_writable();
}

void ServerCodec::reset(StreamId id, ErrorCode code) {
  ServerStream* stream = find(id);
  if (stream == nullptr) return;
  stream->receiver = nullptr;
  stream->request = ServerStream::Request::Broken;
  session_.reset(*stream, reset_code(code));
}

void ServerCodec::give_up_request(StreamId) {
  // The stream alone ends behind its response, which it does in any case.
}

void ServerCodec::on_closed(Stream& base, uint32_t code, bool by_peer) {
  auto* stream = static_cast<ServerStream*>(&base);
  --streams_;
  if (stream->request == ServerStream::Request::Broken) {
    // Counted when it broke.
  } else if (code == NGHTTP2_NO_ERROR && !stream->peer_reset) {
    session_.budget().earn_reset();
  } else if (by_peer || !stream->reset) {
    // Broken off by the client, or by nghttp2 for what the client did.
    session_.budget().spend_reset();
    if (session_.budget().spent()) session_.terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  }
  RequestReceiver* const receiver = stream->receiver;
  ErrorCode error = by_peer ? ErrorCode::ClientClosed : ErrorCode::BadRequest;
  if (stream->stalled) error = ErrorCode::RequestTimeout;
  if (stream->unsendable) error = ErrorCode::Internal;
  delete stream;
  if (receiver != nullptr) receiver->on_request_error(error);
}

// ---- the connection ----

void ServerCodec::drain() {
  if (std::exchange(draining_, true) || last_named_) return;
  // Requests that are under way already are still taken; the answer to the PING shows that the
  // client knows (RFC 9113 6.8).
  session_.announce_goaway();
  session_.ping();
}

void ServerCodec::end_drain() {
  if (!std::exchange(last_named_, true)) session_.goaway();
}

void ServerCodec::on_ping_ack() {
  if (draining_) end_drain();
}

bool ServerCodec::write_blocked(StreamId id) const {
  const ServerStream* stream = find(id);
  return stream != nullptr && stream->blocked;
}

}  // namespace tidegate::http::http2
