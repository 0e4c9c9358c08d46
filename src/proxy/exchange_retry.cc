// SPDX-License-Identifier: Apache-2.0
// Between steps 7 and 5: another attempt after one that failed, or whose response is not wanted.
#include <algorithm>

#include "base/counters.h"
#include "base/strings.h"
#include "http/date.h"
#include "proxy/exchange.h"

namespace tidegate::proxy {

using telemetry::RetryReason;

namespace {

constexpr int64_t kLongestRetryAfter = 86'400;

// Seconds or a date (RFC 9110 10.2.3). A date is one of the origin's clock, so it is compared with
// what that clock said when the response was made, where that is known.
Duration retry_after(const http::ResponseHead& response, int64_t unix_ms) {
  const std::string_view text = response.headers.get(http::HeaderId::RetryAfter);
  if (text.empty()) return Duration::zero();
  int64_t seconds = 0;
  if (const auto number = parse_decimal(text)) {
    seconds = static_cast<int64_t>(std::min<uint64_t>(*number, kLongestRetryAfter));
  } else if (const auto until = http::parse_date(text)) {
    const auto made = http::parse_date(response.headers.get(http::HeaderId::Date));
    seconds = *until - made.value_or(unix_ms / 1000);
  }
  return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kLongestRetryAfter));
}

}  // namespace

/// The request can be sent once more: by its method, what has been sent, and what is still held.
bool Exchange::may_repeat(ErrorCode code) const {
  if (response_started_ || request_broken_ || tunnel_ || downstream_ == nullptr) return false;
  if (request_.body != http::BodyKind::None && body_lost_) return false;
  // The origin says that it has not looked at it (RFC 9113 8.7).
  if (code == ErrorCode::StreamRefused) return true;
  return http::is_idempotent(request_.method) || cluster_->retry.settings().non_idempotent ||
         !attempt_->request_sent();
}

/// Bytes that have been sent are worth keeping.
bool Exchange::wants_replay(const Attempt& attempt) const {
  if (request_.body == http::BodyKind::None || body_lost_) return false;
  if (hedge_ != nullptr && hedge_->state <= Hedge::State::Racing) return true;
  const bool shared = attempt.on_reused_connection() || attempt.multiplexed();
  if (shared && !free_retry_used_) return true;
  return cluster_->retry.enabled() && retries_ < cluster_->retry.settings().max_retries;
}

/// Without a retry policy there is still the free one, when a reused connection turns out dead.
size_t Exchange::replay_limit() const {
  constexpr size_t kForFree = 64 * 1024;
  const upstream::RetryPolicy& policy = cluster_->retry;
  return policy.enabled() || policy.hedges() ? policy.settings().buffer : kForFree;
}

/// Bytes of the request that no longer wait for an attempt.
void Exchange::keep_for_replay(std::string_view bytes) {
  if (!keeps_replay_) {
    body_lost_ = true;
  } else if (body_.size() + bytes.size() > replay_limit()) {
    drop_replay();
  } else {
    body_.append(bytes);
  }
}

void Exchange::drop_replay() {
  keeps_replay_ = false;
  body_lost_ = true;
  body_ = std::string();  // `= {}` would keep the memory
}

bool Exchange::retry_failure(ErrorCode code) {
  if (!cluster_->retry.covers(code)) return false;
  return retry({0, code}, upstream::RetryPolicy::reason_of(code), Duration::zero());
}

bool Exchange::retry_status() {
  if (!cluster_->retry.covers(response_->status)) return false;
  // This answer is better than that there is nobody else to ask.
  const upstream::Cluster& cluster = cluster_->cluster;
  const bool panics = cluster.config().panic_threshold > 0;
  if (!panics && !cluster.healthy(context_.loop.now())) return false;
  return retry({response_->status}, RetryReason::Status, retry_after(*response_, unix_ms()));
}

bool Exchange::request_retry() {
  if (hook_ != Hook::Response || !response_from_origin_ || !may_repeat(ErrorCode::None))
    return false;
  script_wait_ = std::max(retry_after(*response_, unix_ms()),
                          cluster_->retry.backoff(retries_ + 1U, context_.random));
  if (is_too_long(script_wait_) || !take_retry()) return false;
  decision_ = Decision::Retry;
  return true;
}

int64_t Exchange::unix_ms() const {
  return context_.wall_clock.unix_ms(context_.loop.now());
}

/// The script's policy decided, within the cluster's budget. Where more of the body has come since
/// than is kept, the response at hand stands.
void Exchange::begin_script_retry() {
  if (!may_repeat(ErrorCode::None)) return continue_filters();
  begin_retry({response_->status}, RetryReason::Script, script_wait_);
}

/// One more, within max_retries and the cluster's budget.
bool Exchange::take_retry() {
  if (retries_ >= cluster_->retry.settings().max_retries || !enter_retry_budget()) return false;
  ++retries_;
  return true;
}

bool Exchange::enter_retry_budget() {
  upstream::RetryBudget& budget = cluster_->load->retries;
  const TimePoint now = context_.loop.now();
  if (budget.take(cluster_->retry.settings().budget, now)) return true;
  if (!take_retry_place()) return false;
  budget.note_retry(now);
  return true;
}

/// Beyond the share of requests there may be a few at once, which clusters with few requests need.
/// The place is kept until a response goes out.
bool Exchange::take_retry_place() {
  if (has_retry_place_) return true;
  uint64_t& retrying = cluster_->load->retrying;
  if (!take_place(retrying, cluster_->retry.settings().budget_min)) return false;
  hold(retrying);
  has_retry_place_ = true;
  return true;
}

/// An endpoint that has not been tried is there.
bool Exchange::can_go_elsewhere() const {
  const TimePoint now = context_.loop.now();
  return std::ranges::any_of(cluster_->cluster.members(), [&](const auto& member) {
    return std::ranges::find(tried(), member.endpoint) == tried().end() &&
           member.endpoint->available(now);
  });
}

/// Before the next retry. Nothing, if it is the first, what broke was one endpoint and there are
/// others: back-off is for those that need time.
Duration Exchange::retry_wait(RetryReason reason) {
  const bool broke = reason == RetryReason::Connect || reason == RetryReason::Reset;
  if (broke && retries_ == 0 && can_go_elsewhere()) return Duration::zero();
  return cluster_->retry.backoff(retries_ + 1U, context_.random);
}

/// When another attempt would come too late.
TimePoint Exchange::last_moment() const {
  constexpr Duration kLongestWait = std::chrono::seconds(300);
  const TimePoint now = context_.loop.now();
  TimePoint last = now + kLongestWait + Duration(1);
  if (timeout_ > Duration::zero()) {
    // It counts from the request's end.
    const bool counting = request_complete_ && response_deadline_ != TimePoint();
    last = std::min(last, counting ? response_deadline_ : now + timeout_);
  }
  return deadline_ == TimePoint() ? last : std::min(last, deadline_);
}

/// Longer than the response may take; what the origin said is the better answer.
bool Exchange::is_too_long(Duration wait) const {
  return context_.loop.now() + wait >= last_moment();
}

/// False: what there is stands.
bool Exchange::retry(const upstream::Outcome& failed, RetryReason reason, Duration at_least) {
  if (!may_repeat(failed.error)) return false;
  const Duration wait = std::max(at_least, retry_wait(reason));
  if (is_too_long(wait) || !take_retry()) return false;
  begin_retry(failed, reason, wait);
  return true;
}

void Exchange::begin_retry(const upstream::Outcome& failed, RetryReason reason, Duration wait) {
  next_retry_ = reason;
  last_failure_ = failed;
  cancel_attempts();
  cancel_wait();
  forget_response();
  stage_ = Stage::Attempting;
  try_timer_.disarm();
  if (wait <= Duration::zero()) return select_endpoint();
  step_aside();
  // The timer of the response goes on meanwhile.
  arm(TimerKind::Response);
  try_timer_.disarm();
  context_.loop.timers().arm(retry_timer_, wait);
}

void Exchange::on_retry_due() {
  if (come_back()) return select_endpoint();
  failure_.detail = arena_.join(last_failure(), ", then ", failure_.detail);
  start_failure();
}

std::string_view Exchange::last_failure() {
  if (last_failure_.status != 0) return arena_.copy(std::to_string(last_failure_.status));
  return last_failure_.error == ErrorCode::None ? "" : describe(last_failure_.error).token;
}

/// The client hears of what went wrong first: at a retry, the attempt before.
void Exchange::fail_without_endpoint() {
  const upstream::Cluster& cluster = cluster_->cluster;
  const Duration held = cluster.breakers_hold_for(context_.loop.now());
  const ErrorCode none = held > Duration::zero() ? ErrorCode::BreakerOpen : ErrorCode::NoEndpoint;
  const upstream::Outcome& before = last_failure_;
  if (attempts_ == 0) {
    fail(none, cluster.name());
  } else {
    fail(before.status == 0 ? before.error : ErrorCode::OriginStatus,
         arena_.join(last_failure(), ", then ", describe(none).token));
    failure_.status = before.status;
  }
  failure_.retry_after = held;
}

void Exchange::disarm_attempt() {
  timer_.disarm();
  try_timer_.disarm();
  retry_timer_.disarm();
  if (hedge_ != nullptr) hedge_->timer.disarm();
}

void Exchange::cancel_attempts() {
  if (hedge_ != nullptr) drop_hedge();
  attempt_->cancel();
}

void Exchange::forget_response() {
  response_ = nullptr;
  response_from_origin_ = origin_complete_ = origin_paused_ = response_replaced_ = false;
  response_filters_ran_ = false;
  response_body_ = std::string();  // `= {}` would keep the memory
  origin_error_ = ErrorCode::None;
  failure_ = {};
}

}  // namespace tidegate::proxy
