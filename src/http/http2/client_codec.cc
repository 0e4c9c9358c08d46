// SPDX-License-Identifier: Apache-2.0
#include "http/http2/client_codec.h"

#include <cassert>

#include "http/http2/head_reader.h"

namespace tidegate::http::http2 {
namespace {

constexpr uint8_t kInterims = 32;  // before one final response
constexpr uint64_t kUnlimited = UINT64_MAX;
constexpr uint32_t kSlotBits = 16;
constexpr uint32_t kMostStreams = 1u << kSlotBits;

}  // namespace

struct ClientCodec::ClientStream final : Stream {
  //   Head ──► Body ──► Ended      Tunnel: as Body, after a 101
  enum class Response : uint8_t { Head, Body, Tunnel, Ended };
  enum class Request : uint8_t { Opened, Started, Ended };

  ResponseReceiver* receiver = nullptr;  // null: the stream is over for its user
  ResponseHead* head = nullptr;
  StreamId id = 0;
  uint64_t request_left = kUnlimited;
  uint64_t body_received = 0;
  uint64_t body_length = kUnlimited;
  Response response = Response::Head;
  Request request = Request::Opened;
  uint8_t interims = 0;
  bool to_head = false;
  bool tunnel = false;  // asked for
};

ClientCodec::ClientCodec(OutputBuffer& output, const Limits& limits, std::string_view scheme,
                         const Settings& settings)
    : limits_(limits),
      scheme_(scheme),
      session_(Session::Role::Client, output, *this, settings, limits) {}

ClientCodec::~ClientCodec() {
  for (ClientStream* stream : slots_) delete stream;
}

// ---- streams ----

bool ClientCodec::can_open() const {
  return !done() && session_.settings_received() &&
         slots_.size() - free_slots_.size() < streams_allowed();
}

size_t ClientCodec::streams_allowed() const {
  return std::min(session_.peer_max_streams(), kMostStreams);
}

StreamId ClientCodec::open(ResponseReceiver& receiver) {
  assert(can_open());
  auto* stream = new ClientStream;
  stream->receiver = &receiver;
  uint16_t slot;
  if (free_slots_.empty()) {
    slot = static_cast<uint16_t>(slots_.size());
    slots_.push_back(stream);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot] = stream;
  }
  if (++generation_ == 0) ++generation_;
  stream->id = static_cast<StreamId>(generation_) << kSlotBits | slot;
  ++streams_;
  return stream->id;
}

ClientCodec::ClientStream* ClientCodec::find(StreamId id) const {
  const uint32_t slot = id & (kMostStreams - 1);
  if (slot >= slots_.size()) return nullptr;
  ClientStream* stream = slots_[slot];
  return stream != nullptr && stream->id == id && stream->receiver != nullptr ? stream : nullptr;
}

void ClientCodec::free(ClientStream& stream) {
  const uint32_t slot = stream.id & (kMostStreams - 1);
  slots_[slot] = nullptr;
  free_slots_.push_back(static_cast<uint16_t>(slot));
  delete &stream;
}

/// The user knows the stream no more.
void ClientCodec::leave(ClientStream& stream) {
  stream.receiver = nullptr;
  stream.head = nullptr;
  --streams_;
}

/// Leaves it, and tells the origin so.
void ClientCodec::drop(ClientStream& stream, uint32_t code) {
  leave(stream);
  if (stream.wire_id == 0) return free(stream);  // the origin never heard of it
  session_.reset(stream, code);
}

void ClientCodec::fail_stream(ClientStream& stream, ErrorCode code) {
  ResponseReceiver* const receiver = stream.receiver;
  drop(stream, code == ErrorCode::BadResponse ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_CANCEL);
  if (receiver != nullptr) receiver->on_response_error(code);
}

void ClientCodec::cancel(StreamId id) {
  if (ClientStream* stream = find(id)) drop(*stream, NGHTTP2_CANCEL);
}

// ---- the request ----

void ClientCodec::send_head(StreamId id, const RequestHead& head, bool end) {
  ClientStream* stream = find(id);
  if (stream == nullptr || stream->request != ClientStream::Request::Opened) return;
  stream->tunnel = !head.upgrade.empty();
  stream->to_head = head.method == Method::Head;
  if (stream->tunnel && !session_.peer_takes_tunnels()) {
    return fail_stream(*stream, ErrorCode::UpgradeUnsupported);
  }
  const bool whole = end && !stream->tunnel;
  if (!session_.submit_request(*stream, request_fields(head, {scheme_, stream->tunnel}), whole)) {
    ids_spent_ = true;
    return fail_stream(*stream, ErrorCode::StreamRefused);
  }
  stream->request = whole ? ClientStream::Request::Ended : ClientStream::Request::Started;
  if (head.body == BodyKind::Sized) stream->request_left = head.content_length;
}

void ClientCodec::send_body(StreamId id, std::string_view bytes) {
  ClientStream* stream = find(id);
  if (stream == nullptr || stream->request != ClientStream::Request::Started) return;
  if (stream->tunnel && stream->response != ClientStream::Response::Tunnel &&
      stream->response != ClientStream::Response::Ended) {
    return;
  }
  // More than was announced would make the request malformed.
  bytes = bytes.substr(0, stream->request_left);
  if (stream->request_left != kUnlimited) stream->request_left -= bytes.size();
  session_.send_body(*stream, bytes);
}

void ClientCodec::send_end(StreamId id, const Headers& trailers) {
  ClientStream* stream = find(id);
  if (stream == nullptr || stream->request != ClientStream::Request::Started) return;
  stream->request = ClientStream::Request::Ended;
  if (stream->request_left != kUnlimited && stream->request_left > 0) {
    // Cut short: the origin must not take it for whole. The response may still come.
    return fail_stream(*stream, ErrorCode::OriginClosed);
  }
  session_.send_end(*stream, trailers);
  if (stream->response == ClientStream::Response::Ended) leave(*stream);
}

// ---- the response ----

void ClientCodec::receive(std::string_view bytes) {
  session_.receive(bytes);
}

void ClientCodec::produce(bool blocked) {
  session_.produce(blocked);
}

void ClientCodec::on_fields(int32_t, Stream* base, bool end) {
  if (base == nullptr) return;
  auto& stream = *static_cast<ClientStream*>(base);
  if (stream.receiver == nullptr) return;
  if (stream.response == ClientStream::Response::Head) return receive_head(stream, end);
  receive_trailers(stream, end);
}

void ClientCodec::receive_head(ClientStream& stream, bool end) {
  ResponseHead& head = stream.receiver->begin_response();
  const ErrorCode error =
      read_response(session_.fields(), limits_, {stream.to_head, stream.tunnel}, end, head);
  if (error != ErrorCode::None) return fail_stream(stream, error);
  if (head.status < 200 && head.status != 101) return receive_interim(stream);
  stream.head = &head;
  const bool bodiless = stream.to_head || head.status == 204 || head.status == 304;
  if (head.body == BodyKind::Sized) stream.body_length = head.content_length;
  if (bodiless) stream.body_length = 0;
  if (end) return end_response(stream, true);
  stream.response =
      head.status == 101 ? ClientStream::Response::Tunnel : ClientStream::Response::Body;
  stream.receiver->on_response_head(false);
}

void ClientCodec::receive_interim(ClientStream& stream) {
  // Their heads pile up in the exchange's arena.
  if (++stream.interims > kInterims) return fail_stream(stream, ErrorCode::BadResponse);
  stream.receiver->on_response_interim();
}

void ClientCodec::on_data(Stream& base, std::string_view bytes) {
  auto& stream = static_cast<ClientStream&>(base);
  if (stream.receiver == nullptr) return;
  if (stream.response == ClientStream::Response::Head) {
    return fail_stream(stream, ErrorCode::BadResponse);
  }
  const std::string_view within = bytes.substr(0, stream.body_length - stream.body_received);
  stream.body_received += within.size();
  if (!within.empty()) stream.receiver->on_response_body(within);
  const bool excess = within.size() < bytes.size();
  if (excess && stream.receiver != nullptr) fail_stream(stream, ErrorCode::BadResponse);
}

void ClientCodec::on_end(Stream& base) {
  auto& stream = static_cast<ClientStream&>(base);
  if (stream.receiver == nullptr) return;
  const bool cut_short =
      stream.body_length != kUnlimited && stream.body_received != stream.body_length;
  if (stream.response == ClientStream::Response::Head || cut_short) {
    return fail_stream(stream, ErrorCode::BadResponse);
  }
  end_response(stream, false);
}

void ClientCodec::receive_trailers(ClientStream& stream, bool end) {
  const bool misplaced = !end || stream.response != ClientStream::Response::Body;
  if (misplaced ||
      !read_trailers(session_.fields(), limits_, TrailersOf::Response, stream.head->trailers)) {
    return fail_stream(stream, ErrorCode::BadResponse);
  }
  on_end(stream);
}

void ClientCodec::end_response(ClientStream& stream, bool with_head) {
  ResponseReceiver* const receiver = stream.receiver;
  const bool half_open = stream.response == ClientStream::Response::Tunnel &&
                         stream.request != ClientStream::Request::Ended;
  stream.response = ClientStream::Response::Ended;
  if (!half_open) {
    // What is left of the request is wanted by nobody (RFC 9113 8.1).
    if (stream.request != ClientStream::Request::Ended) {
      drop(stream, NGHTTP2_CANCEL);
    } else {
      leave(stream);
    }
  }
  if (with_head) return receiver->on_response_head(true);
  receiver->on_response_end();
}

void ClientCodec::on_closed(Stream& base, uint32_t code, bool by_peer) {
  auto& stream = static_cast<ClientStream&>(base);
  ResponseReceiver* const receiver = stream.receiver;
  if (receiver != nullptr) leave(stream);
  asks_for_http1_ |= by_peer && code == NGHTTP2_HTTP_1_1_REQUIRED;
  if (by_peer && code != NGHTTP2_NO_ERROR) session_.budget().spend_reset();
  if (code == NGHTTP2_NO_ERROR && !stream.peer_reset) session_.budget().earn_reset();
  const bool unsendable = stream.unsendable;
  free(stream);
  if (receiver == nullptr) return;
  ErrorCode error = ErrorCode::OriginReset;
  if (unsendable) {
    error = ErrorCode::Internal;
  } else if (code == NGHTTP2_REFUSED_STREAM || code == NGHTTP2_HTTP_1_1_REQUIRED) {
    error = ErrorCode::StreamRefused;
  } else if (session_.over()) {
    error = failure_;
  } else if (!by_peer) {
    error = ErrorCode::BadResponse;
  }
  receiver->on_response_error(error);
}

void ClientCodec::on_goaway() {
  asks_for_http1_ |= session_.goaway_code() == NGHTTP2_HTTP_1_1_REQUIRED;
}

void ClientCodec::fail(ErrorCode code) {
  failure_ = code;
  // Streams whose request was never submitted are known to no session.
  for (size_t i = 0; i < slots_.size(); ++i) {
    ClientStream* stream = slots_[i];
    if (stream != nullptr && stream->wire_id == 0) fail_stream(*stream, code);
  }
  session_.abandon();
}

void ClientCodec::on_writable(Stream& base) {
  auto& stream = static_cast<ClientStream&>(base);
  if (stream.receiver != nullptr) stream.receiver->on_request_writable();
}

bool ClientCodec::pause(StreamId id) {
  if (ClientStream* stream = find(id)) session_.pause(*stream);
  return true;
}

void ClientCodec::resume(StreamId id) {
  if (ClientStream* stream = find(id)) session_.resume(*stream);
}

bool ClientCodec::write_blocked(StreamId id) const {
  const ClientStream* stream = find(id);
  return stream != nullptr && stream->blocked;
}

void ClientCodec::ping() {
  ping_pending_ = true;
  session_.ping();
}

}  // namespace tidegate::http::http2
