// SPDX-License-Identifier: Apache-2.0
#include "http/http1/client_codec.h"

#include <cassert>

namespace tidegate::http::http1 {
namespace {

constexpr uint8_t kInterims = 32;  // before one final response

/// These mean something with a body; without one they say so (RFC 9110 8.6).
bool expects_body(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

std::string_view connection_value(const RequestHead& head) {
  const bool trailers = head.headers.get(HeaderId::Te) == "trailers";
  if (!head.upgrade.empty()) return trailers ? "te, upgrade" : "upgrade";
  return trailers ? "te" : "";
}

HeadFraming frame(const RequestHead& head, bool end) {
  HeadFraming framing;
  framing.connection = connection_value(head);
  framing.upgrade = head.upgrade;
  if (head.body == BodyKind::Sized) {
    framing.framing = Framing::Sized;
    framing.length = head.content_length;
  } else if (head.body == BodyKind::Streamed && !end) {
    framing.framing = Framing::Chunked;
  } else if (head.body == BodyKind::Streamed || expects_body(head.method_name)) {
    framing.framing = Framing::Sized;
  }
  return framing;
}

ErrorCode error_of(HeadStatus status) {
  return status == HeadStatus::Malformed ? ErrorCode::BadResponse
                                         : ErrorCode::ResponseHeadersTooLarge;
}

}  // namespace

// ---- the request ----

StreamId ClientCodec::open(ResponseReceiver& receiver) {
  assert(can_open());
  if (++stream_ == 0) ++stream_;
  receiver_ = &receiver;
  response_ = Response::Opened;
  request_ = Request::None;
  interims_ = 0;
  after_return_ = line_skipped_ = framed_interim_ = false;
  return stream_;
}

void ClientCodec::send_head(StreamId stream, const RequestHead& head, bool end) {
  if (stream != stream_ || response_ != Response::Opened) return;
  const HeadFraming framing = frame(head, end);
  write_request_head(output_, head, framing);
  writer_.begin(framing.framing, framing.length);
  to_head_ = head.method == Method::Head;
  upgrading_ = !head.upgrade.empty();
  response_ = Response::Head;
  request_ = Request::Started;
  if (end) request_ = writer_.left() == 0 ? Request::Ended : Request::None;
}

void ClientCodec::send_body(StreamId stream, std::string_view bytes) {
  if (is_sending(stream)) writer_.write(output_, bytes);
}

void ClientCodec::send_end(StreamId stream, const Headers& trailers) {
  if (!is_sending(stream)) return;
  // Cut short, the request never ends for the origin, so the connection is not used again.
  request_ = writer_.end(output_, trailers) ? Request::Ended : Request::None;
  if (response_ == Response::Tunnel) write_finished_ = true;
  if (response_ == Response::Ended) close_stream(false);
}

void ClientCodec::cancel(StreamId stream) {
  if (stream != stream_ || response_ == Response::None) return;
  persists_ = false;
  close_stream(false);
}

// ---- the response ----

void ClientCodec::receive(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (response_) {
      case Response::None:
        done_ = true;
        return;
      case Response::Opened:
        return fail(ErrorCode::OriginClosed);
      case Response::Head:
        bytes.remove_prefix(receive_head(bytes));
        break;
      case Response::Body:
        bytes.remove_prefix(receive_body(bytes));
        break;
      case Response::Tunnel:
        return receiver_->on_response_body(bytes);
      case Response::Ended:
        return;
    }
  }
}

/// One empty line before a status line says nothing: some origins end a body with it. Gives the
/// bytes of it that are here.
size_t ClientCodec::skip_empty_line(std::string_view bytes) {
  size_t at = 0;
  if (!after_return_ && !line_skipped_ && bytes[at] == '\r') {
    after_return_ = true;
    ++at;
  }
  if (after_return_ && at < bytes.size() && bytes[at] == '\n') {
    after_return_ = false;
    line_skipped_ = true;
    ++at;
  }
  return at;
}

size_t ClientCodec::receive_head(std::string_view bytes) {
  if (!collector_.waiting()) {
    const size_t skipped = skip_empty_line(bytes);
    if (skipped > 0) return skipped;
    if (after_return_ || bytes.front() != 'H') {
      fail(ErrorCode::BadResponse);
      return bytes.size();
    }
  }
  const auto found = collector_.collect(bytes, HeadKind::Message, limits_);
  if (found.status == HeadStatus::Complete) {
    begin_response(found, found.taken < bytes.size());
  } else if (found.status != HeadStatus::More) {
    fail(error_of(found.status));
  }
  return found.taken;
}

/// `more`: bytes follow the head.
void ClientCodec::begin_response(const HeadCollector::Collected& found, bool more) {
  ResponseHead& head = receiver_->begin_response();
  const ParsedResponse parsed =
      parse_response_head(found.block, found.lines, limits_, to_head_, head);
  collector_.clear();
  if (!parsed.valid) return fail(ErrorCode::BadResponse);
  if (head.status < 200) {
    framed_interim_ = framed_interim_ || !parsed.clean;
    line_skipped_ = false;
    return receive_interim(head);
  }
  head_ = &head;
  persists_ = parsed.persists && !framed_interim_;
  switch (parsed.end) {
    case ResponseEnd::Head:
      return close_stream(more).on_response_head(true);
    case ResponseEnd::Length:
      body_.begin_sized(head.content_length);
      break;
    case ResponseEnd::Chunks:
      body_.begin_chunked();
      break;
    case ResponseEnd::Close:
      body_.begin_to_close();
      break;
  }
  response_ = Response::Body;
  receiver_->on_response_head(false);
}

void ClientCodec::receive_interim(const ResponseHead& head) {
  if (head.status == 101) {
    if (!upgrading_ || request_ != Request::Ended) return fail(ErrorCode::BadResponse);
    return begin_tunnel();
  }
  // Their heads pile up in the exchange's arena.
  if (++interims_ > kInterims) return fail(ErrorCode::BadResponse);
  receiver_->on_response_interim();
}

void ClientCodec::begin_tunnel() {
  done_ = true;
  response_ = Response::Tunnel;
  request_ = Request::Started;
  writer_.begin(Framing::Raw, 0);
  receiver_->on_response_head(false);
}

size_t ClientCodec::receive_body(std::string_view bytes) {
  const StreamId stream = stream_;
  const BodyReader::Step step =
      body_.next(bytes, {collector_, limits_, &head_->trailers, TrailersOf::Response});
  if (!step.data.empty()) receiver_->on_response_body(step.data);
  if (stream != stream_ || response_ != Response::Body) return step.taken;  // cancelled meanwhile
  switch (step.status) {
    case BodyReader::Status::More:
      break;
    case BodyReader::Status::End:
      close_stream(step.taken < bytes.size()).on_response_end();
      break;
    case BodyReader::Status::TooLarge:
      fail(ErrorCode::ResponseHeadersTooLarge);
      break;
    case BodyReader::Status::Bad:
      fail(ErrorCode::BadResponse);
      break;
  }
  return step.taken;
}

void ClientCodec::receive_eof() {
  switch (response_) {
    case Response::None:
      done_ = true;
      return;
    case Response::Tunnel:
      if (request_ == Request::Ended) return close_stream(false).on_response_end();
      response_ = Response::Ended;
      return receiver_->on_response_end();
    case Response::Body:
      if (body_.to_close()) return close_stream(false).on_response_end();
      break;
    default:
      break;
  }
  fail(ErrorCode::OriginClosed);
}

void ClientCodec::fail(ErrorCode code) {
  persists_ = false;
  done_ = true;
  if (response_ == Response::None) return;
  // A tunnel's receiver hears it too when the response's direction has ended: it still sends.
  close_stream(false).on_response_error(code);
}

/// The stream is over; what is called next may open another. `more`: bytes follow it, which no
/// stream of this connection may ever read.
ResponseReceiver& ClientCodec::close_stream(bool more) {
  if (more || !persists_ || request_ != Request::Ended) done_ = true;
  ResponseReceiver& receiver = *receiver_;
  collector_.clear();
  response_ = Response::None;
  request_ = Request::None;
  receiver_ = nullptr;
  head_ = nullptr;
  return receiver;
}

}  // namespace tidegate::http::http1
