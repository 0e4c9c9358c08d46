// SPDX-License-Identifier: Apache-2.0
// Steps 7 to 9 of an exchange: the response, or what is put in its place, and its way to the
// client.
#include "http/hop_by_hop.h"
#include "proxy/exchange.h"
#include "proxy/local_reply.h"
#include "proxy/via.h"

namespace tidegate::proxy {
namespace {

// Response bytes held while filters look at the head, before the origin is told to wait.
constexpr size_t kHoldLimit = 64 * 1024;
// Bytes read and dropped of a response that was replaced.
constexpr size_t kDropLimit = 64 * 1024;
constexpr uint16_t kProxyAuthenticationRequired = 407;

}  // namespace

http::ResponseHead& Exchange::begin_response() {
  return *arena_.make<http::ResponseHead>(arena_);
}

void Exchange::on_attempt_interim(Attempt& attempt) {
  // Of two attempts that race, the older one's are enough.
  if (downstream_ == nullptr || &attempt != attempt_) return;
  http::ResponseHead& interim = attempt.head();
  if (interim.status == 100) continue_sent_ = true;
  http::strip_hop_by_hop(interim);
  downstream_->codec().send_interim(stream_, interim);
  downstream_->schedule_flush();
}

// 7. The response head arrives …
void Exchange::on_attempt_head(Attempt& attempt, bool end) {
  const uint16_t status = attempt.head().status;
  if (status == kProxyAuthenticationRequired && attempt.endpoint()->by_absolute_form()) {
    // The proxy means this one, not the client.
    attempt.cancel();
    return on_attempt_error(attempt, ErrorCode::OutboundProxyAuth);
  }
  note_head(attempt);
  if (cluster_->retry.covers(status) && goes_on_without(attempt, {status})) return;
  response_ = &attempt.head();
  response_from_origin_ = true;
  origin_complete_ = end;
  if (retry_status()) return;
  if (hedge_ != nullptr) decide_race(attempt);
  http::strip_hop_by_hop(*response_);
  add_forwarded_fields();
  // A script may still ask for another attempt.
  if (!cluster_->retry.enabled()) drop_replay();
  timer_.disarm();
  try_timer_.disarm();
  if (response_->opens_tunnel()) {
    // A tunnel begins behind the request's body (RFC 9110 7.8).
    if (!request_ended_ || !websocket_.finish(request_, *response_)) return reject_upgrade();
    tunnel_ = true;
    body_replaced_ = false;
    request_ended_ = request_complete_ = false;
    attempt_->become_tunnel();
    context_.metrics.tunnels_active.add();
  } else if (declines_wrongly()) {
    return reject_upgrade();
  }
  start_response();
}

// What a proxy adds to each response that it forwards.
void Exchange::add_forwarded_fields() {
  http::Headers& headers = response_->headers;
  if (!headers.has(http::HeaderId::Date) && response_->status >= 200) {
    // RFC 9110 6.6.1; the text is made once a second.
    const int64_t now = unix_ms() / 1000;
    headers.add(http::HeaderId::Date, arena_.copy(context_.date.at(now)));
  }
  if (downstream_ != nullptr && downstream_->listener().via == config::Via::Add) {
    add_via(*response_);
  }
}

// What its endpoint and its cluster are known by.
void Exchange::note_head(Attempt& attempt) {
  const TimePoint now = context_.loop.now();
  const uint16_t status = attempt.head().status;
  attempt.settle({status}, now);
  upstream_time_ = now - attempt.started();
  // That a tunnel is open says how near the endpoint is, not how busy.
  if (request_.method == http::Method::Connect) return;
  cluster_->cluster.note_latency(*attempt.endpoint(), upstream_time_, now);
  cluster_->metrics.attempt(upstream_time_);
  upstream::ClusterLoad& load = *cluster_->load;
  // What is refused is quick, and would make all that is worked on look slow beside it.
  if (load.adaptive == nullptr || status < 200 || status >= 400) return;
  load.adaptive->sample(upstream_time_, places_taken(load.unanswered), now);
}

// An origin of HTTP/1 that passes over an Upgrade says 200, which to a client of HTTP/2 would mean
// that it has agreed (RFC 8441 4).
bool Exchange::declines_wrongly() const {
  return request_.version == http::Version::Http2 && !request_.upgrade.empty() &&
         response_->status / 100 == 2;
}

// The origin has agreed to something else than it was asked for.
void Exchange::reject_upgrade() {
  attempt_->cancel();
  response_ = nullptr;
  response_from_origin_ = false;
  on_attempt_error(*attempt_, ErrorCode::BadResponse);
}

// … or the attempt fails.
void Exchange::on_attempt_error(Attempt& attempt, ErrorCode code) {
  if (sending_head_) {
    head_error_ = code;
    return;
  }
  settle_attempt(attempt, code);
  if (stage_ == Stage::Finished) return finish_filters();
  if (response_started_) return break_off(code);
  if (response_ != nullptr && response_from_origin_) {
    // Filters are looking at the head; what they decide may need no body.
    origin_error_ = code;
    if (response_waiter_ != nullptr) finish_body_wait(response_waiter_, {}, code);
    return;
  }
  if (goes_on_without(attempt, {0, code})) return;
  if (may_retry_for_free(attempt, code)) {
    free_retry_used_ = true;
    try_timer_.disarm();
    if (hedge_ != nullptr) drop_hedge();
    last_failure_ = {0, code};
    next_retry_ = telemetry::RetryReason::Reused;
    return select_endpoint();
  }
  if (retry_failure(code)) return;
  cancel_wait();
  fail(code, attempt_->endpoint() == nullptr ? std::string_view() : attempt_->endpoint()->address);
  start_failure();
}

// A reused connection that turns out dead says nothing about its endpoint.
void Exchange::settle_attempt(Attempt& attempt, ErrorCode code) {
  if (may_retry_for_free(attempt, code)) return attempt.forgo_settling();
  attempt.settle({0, code}, context_.loop.now());
}

void Exchange::start_failure() {
  if (stage_ == Stage::Finished) return;
  decision_ = Decision::None;
  cancel_attempts();
  disarm_attempt();
  context_.metrics.error(failure_.code);
  if (response_started_) return break_off(failure_.code);
  response_ = nullptr;
  response_from_origin_ = false;
  if (error_filters_ran_) return reply_with_problem();
  error_filters_ran_ = true;
  run_filters(Hook::Error);
}

void Exchange::make_local_response(const LocalReply& reply) {
  cancel_attempts();
  disarm_attempt();
  response_waiter_ = nullptr;
  if (keeps_replay_) drop_replay();
  if (std::exchange(tunnel_, false)) {
    // The origin agreed to upgrade, and a filter did not.
    request_ended_ = request_complete_ = true;
    context_.metrics.tunnels_active.subtract();
  }
  response_from_origin_ = false;
  if (reply.status >= 400 && is_grpc(request_)) {
    response_ = grpc_response(reply, failure_.code, context_, arena_);
    local_body_ = {};
  } else {
    response_ = local_response(reply, context_, arena_);
    local_body_ = arena_.copy(reply.body);
  }
  origin_complete_ = true;
  origin_error_ = ErrorCode::None;
  if (request_.method == http::Method::Head && response_->body == http::BodyKind::Sized) {
    response_->body = http::BodyKind::None;
    local_body_ = {};
  }
}

// 8. Filters see the response in reverse order.
void Exchange::start_response() {
  if (downstream_ == nullptr) return finish();
  stage_ = Stage::Responding;
  if (response_filters_ran_) return send_response();
  response_filters_ran_ = true;
  if (rates_ != nullptr) add_rate_fields(response_->headers);
  run_filters(Hook::Response);
}

// 9. The response streams to the client.
void Exchange::send_response() {
  if (origin_error_ != ErrorCode::None && !response_replaced_) {
    fail(origin_error_, "response body");
    return start_failure();
  }
  response_started_ = true;
  give_back_places_of_waiting();
  if (keeps_replay_) drop_replay();
  const bool from_origin = response_from_origin_ && !response_replaced_;
  const std::string_view held = from_origin ? std::string_view(response_body_) : local_body_;
  const bool complete = origin_complete_ || !from_origin;
  const bool empty = response_->body == http::BodyKind::None ||
                     (response_->body == http::BodyKind::Sized && response_->content_length == 0);
  const bool end = empty && complete && !tunnel_;
  http::ServerCodec& codec = downstream_->codec();
  // For a tunnel, send_head may deliver the client's bytes and end of stream before it returns.
  answering_ = true;
  codec.send_head(stream_, *response_, end);
  answering_ = false;
  if (downstream_ == nullptr) return;  // sending those bytes to the origin failed
  if (!end && !held.empty()) {
    bytes_out_ += held.size();
    codec.send_body(stream_, held);
  }
  if (complete && !end) codec.send_end(stream_, response_->trailers);
  downstream_->schedule_flush();
  if (tunnel_) {
    // The bytes that follow the request belong to the tunnel. They go to the origin even if it has
    // already ended its own side.
    arm(TimerKind::Idle);
    client_paused_ = false;
    downstream_->resume_request(stream_);
  }
  if (complete) return response_done();
  arm(TimerKind::Idle);
  if (std::exchange(origin_paused_, false)) attempt_->resume();
}

void Exchange::on_attempt_body(std::string_view bytes) {
  if (response_replaced_ || stage_ == Stage::Finished) return drop_origin_body(bytes.size());
  if (response_started_) {
    arm(TimerKind::Idle);
    bytes_out_ += bytes.size();
    // Over the watermark is: the kernel has refused bytes, and this chunk comes on top.
    if (downstream_->write_blocked(stream_)) {
      origin_paused_ = true;
      attempt_->pause();
    }
    downstream_->codec().send_body(stream_, bytes);
    downstream_->schedule_flush();
    return;
  }
  response_body_.append(bytes);
  if (response_waiter_ != nullptr) {
    arm(TimerKind::Idle);
    if (response_body_.size() > response_wait_limit_ ||
        !response_waiter_->hold(response_body_.size())) {
      finish_body_wait(response_waiter_, {}, ErrorCode::BodyTooLarge);
    }
  } else if (response_body_.size() >= kHoldLimit && !origin_paused_) {
    origin_paused_ = true;
    attempt_->pause();
  }
}

void Exchange::drop_origin_body(size_t size) {
  dropped_ += size;
  if (dropped_ <= kDropLimit) return;
  attempt_->cancel();
  if (stage_ == Stage::Finished) finish_filters();
}

void Exchange::on_attempt_end() {
  origin_complete_ = true;
  if (stage_ == Stage::Finished) return finish_filters();
  if (!response_->trailers.empty()) {
    http::strip_nominated(response_->trailers, response_->nominated);
  }
  if (response_waiter_ != nullptr) {
    return finish_body_wait(response_waiter_, response_body_, ErrorCode::None);
  }
  if (!response_started_ || response_replaced_) return;
  downstream_->codec().send_end(stream_, response_->trailers);
  downstream_->schedule_flush();
  response_done();
}

void Exchange::response_done() {
  if (tunnel_ && origin_complete_ && !request_ended_) return arm(TimerKind::Idle);
  // A short rest of a body that a script has replaced is read, so that the connection can be used
  // again; an origin that answered before it had the whole request is left.
  const bool worth_reading = response_replaced_ && !origin_complete_ && request_complete_;
  if (!worth_reading || attempt_->ends_with_client()) attempt_->cancel();
  finish();
}

void Exchange::break_off(ErrorCode code) {
  if (stage_ == Stage::Finished) return;
  if (failure_.code == ErrorCode::None) context_.metrics.error(code);
  failure_ = {code, failure_.detail};
  cancel_wait();
  cancel_attempts();
  if (downstream_ != nullptr) {
    downstream_->codec().reset(stream_, code);
    downstream_->schedule_flush();
  }
  finish();
}

void Exchange::read_response_body(size_t limit, BodyWaiter& waiter) {
  if (response_ == nullptr || response_started_) return waiter.on_body({}, BodyError::sent());
  if (!response_from_origin_ || response_replaced_) {
    return waiter.on_body(local_body_, ErrorCode::None);
  }
  if (tunnel_) return waiter.on_body({}, ErrorCode::None);
  if (origin_error_ != ErrorCode::None) return waiter.on_body({}, origin_error_);
  if (response_body_.size() > limit || !waiter.hold(response_body_.size())) {
    return waiter.on_body({}, ErrorCode::BodyTooLarge);
  }
  if (origin_complete_) return waiter.on_body(response_body_, ErrorCode::None);
  if (stage_ == Stage::Finished) {
    const bool left = failure_.code == ErrorCode::ClientClosed;
    return waiter.on_body({}, left ? failure_.code : BodyError::ended());
  }
  response_waiter_ = &waiter;
  response_wait_limit_ = limit;
  arm(TimerKind::Idle);
  if (std::exchange(origin_paused_, false)) attempt_->resume();
}

void Exchange::set_response_body(std::string_view body) {
  if (response_ == nullptr || response_started_ || tunnel_ || stage_ == Stage::Finished) return;
  local_body_ = arena_.copy(body);
  response_->body = body.empty() ? http::BodyKind::None : http::BodyKind::Sized;
  response_->content_length = body.size();
  response_->headers.remove(http::HeaderId::ContentLength);
  response_->headers.remove(http::HeaderId::TransferEncoding);
  if (request_.method == http::Method::Head) response_->body = http::BodyKind::None;
  if (response_from_origin_) {
    response_replaced_ = true;
    response_body_ = std::string();  // `= {}` would keep the memory
  }
}

}  // namespace tidegate::proxy
