// SPDX-License-Identifier: Apache-2.0
// Steps 5 and 6 of an exchange: choosing an endpoint, and the request's way to it.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "http/hop_by_hop.h"
#include "proxy/deadline.h"
#include "proxy/exchange.h"
#include "proxy/hash_key.h"
#include "upstream/absolute_form.h"

namespace tidegate::proxy {
namespace {

// Request bytes held while nobody takes them, before the client is told to wait.
constexpr size_t kHoldLimit = 64 * 1024;

}  // namespace

// 5. An endpoint is chosen and an attempt begins.
void Exchange::select_endpoint() {
  stage_ = Stage::Attempting;
  chosen_ = nullptr;
  run_filters(Hook::SelectBackend);
}

void Exchange::begin_attempt() {
  pin_members(cluster_->cluster);
  upstream::Cluster& cluster = cluster_->cluster;
  const auto admission =
      cluster.admit(chosen_ == nullptr ? nullptr : cluster.find(chosen_), pick_context());
  if (hedge_ != nullptr && hedge_->state == Hedge::State::Choosing) return begin_hedge(admission);
  const upstream::Cluster::Member* member = admission.member;
  if (member == nullptr) return fail_without_endpoint(), start_failure();
  if (attempts_ == 0 && !enter_cluster()) {
    member->endpoint->breaker.cancel(admission.ticket);
    fail(ErrorCode::ClusterBusy, cluster_->cluster.name());
    return start_failure();
  }
  if (attempts_ == 0 && (cluster_->retry.enabled() || cluster_->retry.hedges())) {
    cluster_->load->retries.note_request(context_.loop.now());
  }
  note_attempt(*member->endpoint);
  const auto reason = std::exchange(next_retry_, telemetry::RetryReason::Count_);
  if (reason != telemetry::RetryReason::Count_) cluster_->metrics.retry(reason);
  // Once the connection is there, a body that is still to come has time limits of its own.
  arm(TimerKind::Response);
  const bool to_tunnel = request_.method == http::Method::Connect;
  const bool to_upgrade = !request_.upgrade.empty();
  const bool with_body = request_.body != http::BodyKind::None;
  // Where an idle connection was closed under the request, others may have been.
  const bool fresh = free_retry_used_ && !attempt_->connection_lives();
  attempt_->begin(cluster, admission, {fresh, to_tunnel, to_upgrade, with_body, client_line()});
}

void Exchange::note_attempt(const upstream::Endpoint& endpoint) {
  ++attempts_;
  note_tried(&endpoint);
  upstream_time_ = Duration(-1);
}

void Exchange::note_tried(const upstream::Endpoint* endpoint) {
  constexpr size_t kFirst = 4;
  const size_t count = tried_.size();
  auto* to = tried_.data();
  if (count == 0 || (count >= kFirst && std::has_single_bit(count))) {
    // Full: room for as many again.
    const size_t room = std::max(kFirst, 2 * count);
    to = static_cast<const upstream::Endpoint**>(arena_.allocate(room * sizeof(*to)));
    std::ranges::copy(tried_, to);
  }
  to[count] = endpoint;
  tried_ = {to, count + 1};
}

// Of its client, in queues that are fair over clients.
uint8_t Exchange::client_line() const {
  constexpr uint64_t kSpread = 0x9e3779b97f4a7c15ULL;
  std::array<uint64_t, 2> halves;
  static_assert(sizeof(halves) == sizeof(client_ip_.bytes()));
  std::memcpy(halves.data(), client_ip_.bytes().data(), sizeof(halves));
  return static_cast<uint8_t>(((halves[0] * kSpread + halves[1]) * kSpread) >> 56);
}

std::string_view Exchange::hash_key(const config::HashOn& what) const {
  return proxy::hash_key(what, request_, client_ip_text_);
}

// 6. The request streams to the origin.
void Exchange::on_attempt_ready(Attempt& attempt) {
  // The connection is what a CONNECT asked for: it carries no head, and the codec answers at once.
  if (request_.method == http::Method::Connect) return attempt.send_head(request_, true);
  // A body can only be sent again if it is kept.
  keeps_replay_ = wants_replay(attempt) && body_.size() <= replay_limit();
  const unsigned attempts = attempts_;
  send_upstream_head(attempt);
  if (attempts_ != attempts || !attempt.open()) return;  // refused, and perhaps tried again already
  if (!body_.empty()) {
    attempt.send_held_body(body_);
    if (!keeps_replay_) drop_replay();
  }
  if (request_complete_ && request_.body != http::BodyKind::None) {
    attempt.send_end(request_.trailers);
  } else if (!request_complete_) {
    resume_client();
  }
}

void Exchange::send_upstream_head(Attempt& attempt) {
  // Scripts go on seeing what the client sent, so path and host are lent for the serialisation.
  const std::string_view path = request_.path;
  http::Headers& headers = request_.headers;
  const bool had_host = headers.has(http::HeaderId::Host);
  const std::string_view host = headers.get(http::HeaderId::Host);
  const upstream::Endpoint& endpoint = *attempt.endpoint();
  const std::string_view other_host = upstream_host(endpoint);
  const bool swap_host = !had_host || other_host != host;
  const bool absolute = endpoint.by_absolute_form();
  request_.path = upstream_path();
  if (absolute) upstream::address_to_proxy(request_, endpoint, arena_);
  if (swap_host) headers.set(http::HeaderId::Host, other_host);
  tell_deadline();
  // HTTP/2 has no place for an upgrade that comes with a body; the origin may as well pass over it.
  const bool drops_upgrade = attempt.multiplexed() && request_.body != http::BodyKind::None;
  const std::string_view upgrade = request_.upgrade;
  if (drops_upgrade) request_.upgrade = {};
  if (!request_.upgrade.empty()) websocket_.prepare(request_, attempt.multiplexed(), context_.ids);
  // What comes of a head that is refused at once must see the request as it was.
  sending_head_ = true;
  attempt.send_head(request_, request_.body == http::BodyKind::None);
  sending_head_ = false;
  request_.path = path;
  request_.upgrade = upgrade;
  if (absolute) headers.remove(http::HeaderId::ProxyAuthorization);
  if (swap_host && had_host) {
    headers.set(http::HeaderId::Host, host);
  } else if (swap_host) {
    headers.remove(http::HeaderId::Host);
  }
  const ErrorCode refused = std::exchange(head_error_, ErrorCode::None);
  if (refused != ErrorCode::None) on_attempt_error(attempt, refused);
}

// The origin learns what time is left, so that it does not work for nobody.
void Exchange::tell_deadline() {
  const TimePoint now = context_.loop.now();
  if (deadline_ != TimePoint() && request_.headers.has(http::HeaderId::GrpcTimeout)) {
    request_.headers.set(http::HeaderId::GrpcTimeout, format_grpc_timeout(deadline_ - now, arena_));
  }
  const std::string& name = runtime_->route->deadline_header;
  if (name.empty()) return;
  TimePoint end = timeout_ > Duration::zero() ? now + timeout_ : deadline_;
  if (timeout_ > Duration::zero() && response_deadline_ != TimePoint()) end = response_deadline_;
  if (deadline_ != TimePoint()) end = std::min(end, deadline_);
  if (end == TimePoint()) return;
  const auto left = std::max<int64_t>((end - now) / std::chrono::milliseconds(1), 1);
  request_.headers.set(name, arena_.copy(std::to_string(left)));
}

std::string_view Exchange::upstream_path() {
  const config::Route& route = *runtime_->route;
  if (!route.strip_prefix || path_replaced_) return request_.path;
  std::string_view prefix = route.match.path_prefix;
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  std::string_view rest = request_.path.substr(prefix.size());
  if (!route.replace_prefix.empty()) {
    std::string_view front = route.replace_prefix;
    if (front.ends_with('/')) front.remove_suffix(1);
    return front.empty() && rest.empty() ? "/" : arena_.join(front, rest);
  }
  return rest.empty() ? "/" : rest;
}

std::string_view Exchange::upstream_host(const upstream::Endpoint& endpoint) {
  if (endpoint.by_absolute_form()) return endpoint.authority;
  switch (runtime_->route->host_mode) {
    case config::HostMode::Origin:
      return endpoint.authority;
    case config::HostMode::Literal:
      return runtime_->route->host;
    case config::HostMode::Preserve:
      break;
  }
  // Taken from the field, since a script may have set it. HTTP/1.0 does without Host, 1.1 does not.
  const http::HeaderField* host = request_.headers.find(http::HeaderId::Host);
  return host == nullptr ? endpoint.authority : host->value();
}

void Exchange::on_request_body(std::string_view bytes) {
  bytes_in_ += bytes.size();
  if (stage_ == Stage::Finished || body_replaced_ || request_broken_) return;
  const config::Route* route = runtime_->route;
  if (!tunnel_ && route != nullptr && route->max_body > 0 && bytes_in_ > route->max_body) {
    cancel_attempts();
    return on_request_error(ErrorCode::BodyTooLarge);
  }
  take_body(bytes);
}

void Exchange::note_request_activity() {
  if (tunnel_) return arm(TimerKind::Idle);
  // With a minimum rate the window ends when it ends, however many bytes dribble in.
  if (timer_kind_ == TimerKind::RequestBody && body_min_rate() == 0) {
    arm(TimerKind::RequestBody);
  }
}

void Exchange::take_body(std::string_view bytes) {
  if (attempt_->open()) {
    note_request_activity();
    attempt_->send_body(bytes);
    if (attempt_->blocked()) pause_client();
    return keep_for_replay(bytes);
  }
  if (response_started_ || (origin_complete_ && request_waiter_ == nullptr)) {
    // No attempt reads these bytes now, but a script may still ask for a retry, which sends them.
    return keep_for_replay(bytes);
  }
  body_.append(bytes);
  if (request_waiter_ != nullptr) {
    note_request_activity();
    if (body_.size() > request_wait_limit_ || !request_waiter_->hold(body_.size())) {
      finish_body_wait(request_waiter_, {}, ErrorCode::BodyTooLarge);
    }
  } else if (body_.size() >= kHoldLimit) {
    pause_client();
  }
}

void Exchange::on_request_end() {
  request_ended_ = true;
  if (stage_ == Stage::Finished) return;
  if (!request_.trailers.empty()) sift_request_trailers();
  if (!body_replaced_) request_complete();
  if (request_waiter_ != nullptr) finish_body_wait(request_waiter_, body_, ErrorCode::None);
  if (tunnel_ && origin_complete_ && !answering_) response_done();
}

// What the codec could not know: names that concern this connection, or that the route writes.
void Exchange::sift_request_trailers() {
  http::strip_nominated(request_.trailers, request_.nominated);
  if (runtime_->route == nullptr || runtime_->route->deadline_header.empty()) return;
  request_.trailers.remove(runtime_->route->deadline_header);
}

void Exchange::request_complete() {
  request_complete_ = true;
  response_deadline_ = {};  // counted from here
  if (!attempt_->open()) {
    // An attempt that still connects counts from now on; filters and handlers have their own
    // limits.
    if (attempt_->active()) return arm(TimerKind::Response);
    if (timer_kind_ == TimerKind::RequestBody) timer_.disarm();
    return;
  }
  attempt_->send_end(request_.trailers);
  if (tunnel_) return;
  if (response_ == nullptr) return arm(TimerKind::Response);
  if (timer_kind_ != TimerKind::RequestBody) return;
  if (response_started_) {
    arm(TimerKind::Idle);
  } else {
    timer_.disarm();
  }
}

void Exchange::pause_client() {
  if (client_paused_ || downstream_ == nullptr) return;
  client_paused_ = true;
  downstream_->pause_request(stream_);
  // Now it is the origin that has to move.
  if (attempt_->open()) {
    arm(TimerKind::Idle);
  } else if (!attempt_->active() && !retry_timer_.armed()) {
    timer_.disarm();
  }
}

void Exchange::resume_client() {
  if (downstream_ == nullptr) return;
  if (!client_paused_) {
    if (!request_ended_ && !tunnel_) arm(TimerKind::RequestBody);
    return;
  }
  client_paused_ = false;
  if (!request_ended_) arm(tunnel_ ? TimerKind::Idle : TimerKind::RequestBody);
  downstream_->resume_request(stream_);
}

void Exchange::on_attempt_drained() {
  if (client_paused_) resume_client();
}

bool Exchange::may_retry_for_free(const Attempt& attempt, ErrorCode code) const {
  if (request_broken_ || tunnel_) return false;
  if (request_.body != http::BodyKind::None && body_lost_) return false;
  if (attempt.learnt_http1()) return true;  // once for each endpoint
  if (free_retry_used_) return false;
  if (code == ErrorCode::StreamRefused) return true;  // see may_repeat
  // A reset of one stream is the origin's answer, and says nothing of the connection.
  if (attempt.connection_lives()) return false;
  if (!attempt.on_reused_connection() || attempt.response_begun()) return false;
  if (code != ErrorCode::OriginClosed && code != ErrorCode::OriginReset) return false;
  return !attempt.request_sent() || http::is_idempotent(request_.method);
}

// Why the whole of it can be had neither now nor later.
BodyError Exchange::request_body_gone() const {
  const bool has_body = body_replaced_ || request_.body != http::BodyKind::None;
  if (has_body && (body_lost_ || attempts_ > 0)) return BodyError::sent();
  if (request_broken_ && !body_replaced_) {
    return failure_.code == ErrorCode::None ? ErrorCode::BadRequest : failure_.code;
  }
  const bool more_comes = downstream_ != nullptr && stage_ != Stage::Finished;
  if (request_ended_ || body_replaced_ || more_comes) return ErrorCode::None;
  return failure_.code == ErrorCode::ClientClosed ? failure_.code : BodyError::ended();
}

void Exchange::read_request_body(size_t limit, BodyWaiter& waiter) {
  if (const BodyError gone = request_body_gone()) return waiter.on_body({}, gone);
  if (body_.size() > limit || !waiter.hold(body_.size())) {
    return waiter.on_body({}, ErrorCode::BodyTooLarge);
  }
  if (request_ended_ || body_replaced_) return waiter.on_body(body_, ErrorCode::None);
  // The request had none, and what comes now is the tunnel's.
  if (tunnel_) return waiter.on_body({}, ErrorCode::None);
  if (request_.body == http::BodyKind::Sized && request_.content_length > limit) {
    return waiter.on_body({}, ErrorCode::BodyTooLarge);
  }
  request_waiter_ = &waiter;
  request_wait_limit_ = limit;
  if (request_.expects_continue && !continue_sent_) {
    // The proxy wants the body itself, so it is the proxy that says go on.
    continue_sent_ = true;
    request_.expects_continue = false;
    request_.headers.remove(http::HeaderId::Expect);
    http::ResponseHead go_on(arena_);
    go_on.status = 100;
    downstream_->codec().send_interim(stream_, go_on);
    downstream_->schedule_flush();
  }
  resume_client();
}

void Exchange::set_request_body(std::string_view body) {
  if (attempts_ > 0 || stage_ == Stage::Finished) return;
  body_.assign(body);
  body_replaced_ = true;
  request_.body = body.empty() ? http::BodyKind::None : http::BodyKind::Sized;
  request_.content_length = body.size();
  // Who has said so before has cleared them, and may have added others since.
  if (!std::exchange(request_.drops_trailers, true)) request_.trailers.clear();
  request_.headers.remove(http::HeaderId::Expect);
  request_complete_ = true;
  if (!request_ended_) resume_client();
}

void Exchange::cancel_body_wait(BodyWaiter& waiter) {
  if (request_waiter_ == &waiter) request_waiter_ = nullptr;
  if (response_waiter_ == &waiter) response_waiter_ = nullptr;
}

void Exchange::finish_body_wait(BodyWaiter*& waiter, std::string_view body,
                                const BodyError& error) {
  BodyWaiter* const waits = std::exchange(waiter, nullptr);
  // Nobody reads the response from here on, so its silence is not the origin's fault.
  if (timer_kind_ == TimerKind::Idle) timer_.disarm();
  waits->on_body(body, error);
}

}  // namespace tidegate::proxy
