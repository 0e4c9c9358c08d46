// SPDX-License-Identifier: Apache-2.0
#include "http/http1/server_codec.h"

#include <cassert>

#include "http/http1/bytes.h"
#include "http/http1/request_parser.h"

namespace tidegate::http::http1 {
namespace {

constexpr uint8_t kEmptyLines = 2;            // tolerated before a request line (RFC 9112 2.2)
constexpr size_t kOutputLimit = 64 * 1024;    // waiting output beyond which no request begins
constexpr uint64_t kDroppedRest = 64 * 1024;  // of a request whose response has ended already

ErrorCode error_of(HeadStatus status) {
  switch (status) {
    case HeadStatus::LineTooLong:
      return ErrorCode::UriTooLong;
    case HeadStatus::FieldsTooLarge:
      return ErrorCode::HeadersTooLarge;
    default:
      return ErrorCode::BadRequest;
  }
}

bool has_no_body(uint16_t status) {
  return status < 200 || status == 204 || status == 304;
}

}  // namespace

// ---- the request ----

size_t ServerCodec::receive(std::string_view bytes) {
  size_t taken = 0;
  while (taken < bytes.size()) {
    const std::string_view rest = bytes.substr(taken);
    switch (request_) {
      case Request::Head:
        // Answers that the client does not read must not pile up behind a pipeline of requests.
        if (output_.size() >= kOutputLimit) return taken;
        taken += receive_head(rest);
        break;
      case Request::Body:
        taken += receive_body(rest);
        break;
      case Request::Complete:
        return taken;
      case Request::Tunnel:
        receiver_->on_request_body(rest);
        return bytes.size();
      case Request::Ignored:
        return bytes.size();
    }
  }
  return taken;
}

size_t ServerCodec::skip_empty_lines(std::string_view bytes) {
  size_t at = 0;
  for (; at < bytes.size(); ++at) {
    if (after_return_ && bytes[at] == '\n') {
      after_return_ = false;
      ++empty_lines_;
    } else if (!after_return_ && bytes[at] == '\r' && empty_lines_ < kEmptyLines) {
      after_return_ = true;
    } else {
      break;
    }
  }
  return at;
}

size_t ServerCodec::receive_head(std::string_view bytes) {
  size_t skipped = 0;
  if (!collector_.waiting()) {
    skipped = skip_empty_lines(bytes);
    bytes.remove_prefix(skipped);
    if (bytes.empty()) return skipped;
    // Whoever speaks something else (TLS, say) is told at once.
    if (after_return_ || !is_token_byte(bytes.front())) {
      fail_request(ErrorCode::BadRequest);
      return skipped;
    }
  }
  const auto found = collector_.collect(bytes, HeadKind::Message, limits_);
  if (found.status == HeadStatus::Complete) {
    begin_request(found);
  } else if (found.status != HeadStatus::More) {
    fail_request(error_of(found.status));
  }
  return skipped + found.taken;
}

void ServerCodec::open_stream() {
  if (++stream_ == 0) ++stream_;
  const ServerCodecOwner::Begun begun = owner_.begin_request(stream_);
  head_ = begun.head;
  receiver_ = begun.receiver;
  if (begun.last) draining_ = true;
  response_ = Response::Awaited;
  empty_lines_ = 0;
  after_return_ = http10_ = to_head_ = awaits_continue_ = false;
}

void ServerCodec::begin_request(const HeadCollector::Collected& found) {
  open_stream();
  const ParsedRequest parsed = parse_request_head(found.block, found.lines, limits_, *head_);
  collector_.clear();
  http10_ = head_->version == Version::Http10;
  to_head_ = head_->method == Method::Head;
  if (parsed.error != ErrorCode::None) return fail_request(parsed.error);
  persists_ = parsed.persists && !draining_;
  awaits_continue_ = head_->expects_continue;
  const bool chunked = head_->body == BodyKind::Streamed;
  const bool end = !chunked && head_->content_length == 0;
  request_ = end ? Request::Complete : Request::Body;
  if (chunked) {
    body_.begin_chunked();
  } else {
    body_.begin_sized(head_->content_length);
  }
  receiver_->on_request_head(end);
}

size_t ServerCodec::receive_body(std::string_view bytes) {
  awaits_continue_ = false;
  const bool dropped = head_ == nullptr || head_->drops_trailers;
  const BodyReader::Step step = body_.next(
      bytes, {collector_, limits_, dropped ? nullptr : &head_->trailers, TrailersOf::Request});
  if (!step.data.empty() && receiver_ != nullptr) receiver_->on_request_body(step.data);
  if (request_ != Request::Body) return step.taken;  // given up in the callback
  switch (step.status) {
    case BodyReader::Status::More:
      break;
    case BodyReader::Status::End:
      end_request();
      break;
    case BodyReader::Status::TooLarge:
      fail_request(ErrorCode::HeadersTooLarge);
      break;
    case BodyReader::Status::Bad:
      fail_request(ErrorCode::BadRequest);
      break;
  }
  return step.taken;
}

void ServerCodec::end_request() {
  if (receiver_ == nullptr) {  // the response has ended before
    request_ = Request::Head;
    return;
  }
  request_ = Request::Complete;
  receiver_->on_request_end();
}

void ServerCodec::fail_request(ErrorCode code) {
  collector_.clear();
  if (response_ == Response::None) open_stream();
  request_ = Request::Ignored;
  persists_ = false;
  receiver_->on_request_error(code);
}

void ServerCodec::expire_head() {
  fail_request(ErrorCode::RequestTimeout);
}

void ServerCodec::receive_eof() {
  eof_ = true;
  switch (request_) {
    case Request::Head:
      if (collector_.waiting()) return fail_request(ErrorCode::BadRequest);
      return close();
    case Request::Body:
      if (receiver_ == nullptr) return close();
      return fail_request(ErrorCode::BadRequest);
    case Request::Complete:
      persists_ = false;
      return;
    case Request::Tunnel: {
      request_ = Request::Complete;
      RequestReceiver* receiver = receiver_;
      if (response_ == Response::Ended) close();
      return receiver->on_request_end();
    }
    case Request::Ignored:
      return;
  }
}

// ---- the response ----

void ServerCodec::send_interim(StreamId stream, const ResponseHead& head) {
  assert(head.status >= 100 && head.status < 200 && head.status != 101);
  // RFC 9110 15.2: never to an HTTP/1.0 client.
  if (!is_current(stream, Response::Awaited) || http10_) return;
  if (head.status == 100) awaits_continue_ = false;
  write_response_head(output_, head, {});
}

/// The response is certain to end while the client still sends a body too long to drop.
bool ServerCodec::body_unwanted() const {
  return request_ == Request::Body && (awaits_continue_ || body_.left() > kDroppedRest);
}

/// An answer to the whole request (an echo, say) goes on until its end; a refusal does not.
bool ServerCodec::can_outlast_request(const ResponseHead& head, bool end) const {
  if (end || awaits_continue_ || head.status >= 400) return false;
  return head.body == BodyKind::Streamed || head.content_length >= body_.left();
}

HeadFraming ServerCodec::frame(const ResponseHead& head, bool end) const {
  HeadFraming framing;
  if (head_->method == Method::Connect && head.status / 100 == 2) {
    framing.framing = Framing::Raw;  // RFC 9110 9.3.6
    return framing;
  }
  if (head.status == 101) {
    framing.framing = Framing::Raw;
    framing.connection = "upgrade";
    framing.upgrade = head.headers.get(HeaderId::Upgrade);
    if (framing.upgrade.empty()) framing.upgrade = head_->upgrade;
    return framing;
  }
  if (to_head_ || has_no_body(head.status)) {
    framing.length = head.content_length;
    framing.announces_length =
        (to_head_ || head.status == 304) && head.status != 204 &&
        (head.body == BodyKind::Sized || head.headers.has(HeaderId::ContentLength));
  } else if (head.body == BodyKind::Sized) {
    framing.framing = Framing::Sized;
    framing.length = head.content_length;
  } else if (head.body == BodyKind::None || end) {
    framing.framing = Framing::Sized;
  } else {
    framing.framing = http10_ ? Framing::Raw : Framing::Chunked;
  }
  if (!persists_ || framing.framing == Framing::Raw) {
    framing.connection = "close";
  } else if (http10_) {
    framing.connection = "keep-alive";
  }
  return framing;
}

void ServerCodec::send_head(StreamId stream, const ResponseHead& head, bool end) {
  if (!is_current(stream, Response::Awaited)) return;
  const bool tunnel = head.opens_tunnel();
  const bool asked = !head_->upgrade.empty() || head_->method == Method::Connect;
  if (tunnel && (request_ != Request::Complete || !asked)) return close();
  if (draining_ || (body_unwanted() && !can_outlast_request(head, end))) persists_ = false;
  const HeadFraming framing = frame(head, end);
  if (framing.framing == Framing::Raw) persists_ = false;
  truncated_ = framing.framing == Framing::Raw && head.status != 101;
  write_response_head(output_, head, framing);
  writer_.begin(framing.framing, framing.length);
  response_ = Response::Started;
  if (tunnel) begin_tunnel();
  if (end) end_response();
}

void ServerCodec::begin_tunnel() {
  if (!eof_) {
    request_ = Request::Tunnel;
  } else {
    receiver_->on_request_end();
  }
}

void ServerCodec::send_body(StreamId stream, std::string_view bytes) {
  if (is_current(stream, Response::Started)) writer_.write(output_, bytes);
}

void ServerCodec::send_end(StreamId stream, const Headers& trailers) {
  if (!is_current(stream, Response::Started)) return;
  if (!writer_.end(output_, trailers)) persists_ = false;
  end_response();
}

void ServerCodec::end_response() {
  truncated_ = false;
  if (request_ == Request::Tunnel) {
    response_ = Response::Ended;
    write_finished_ = true;
    return;
  }
  if (!persists_ || draining_ || writer_.left() > 0 || body_unwanted()) return close();
  response_ = Response::None;
  receiver_ = nullptr;
  head_ = nullptr;
  if (request_ == Request::Complete) request_ = Request::Head;
}

void ServerCodec::reset(StreamId stream, ErrorCode code) {
  static_cast<void>(code);  // HTTP/1 has no words for it
  if (stream == stream_ && response_ != Response::None) close();
}

void ServerCodec::give_up_request(StreamId stream) {
  if (is_current(stream, Response::Awaited)) persists_ = false;
}

void ServerCodec::drain() {
  draining_ = true;
  if (idle()) close();
}

void ServerCodec::close() {
  collector_.clear();
  receiver_ = nullptr;
  head_ = nullptr;
  request_ = Request::Ignored;
  response_ = Response::None;
  done_ = true;
}

}  // namespace tidegate::http::http1
