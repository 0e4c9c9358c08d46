// SPDX-License-Identifier: Apache-2.0
#include "proxy/attempt.h"

#include <utility>

namespace tidegate::proxy {
namespace {

struct KeptBytes final : net::Deferred {
  std::string bytes;
};

}  // namespace

void Attempt::begin(upstream::Cluster& cluster, const upstream::Cluster::Admission& admission,
                    const Wish& wish) {
  line = wish.client_line;
  forgo_settling();
  cluster_ = &cluster;
  endpoint_ = admission.member->endpoint;
  pool_ = admission.member->pool;
  for_client_ = pool_->by_client();
  if (for_client_) pool_ = &pool_->for_client(owner_.proxied_client());
  if (wish.tunnel) pool_ = &pool_->tunnels();
  upgrade_ = wish.upgrade;
  with_body_ = wish.with_body;
  shared_pool_ = nullptr;
  ticket_ = admission.ticket;
  unsettled_ = true;
  reused_ = response_begun_ = sent_on_closed_ = drain_wait_ = false;
  tunnel_ = request_ended_ = response_ended_ = learnt_http1_ = connection_lives_ = false;
  started_ = pool_->now();
  endpoint_->active.fetch_add(1, std::memory_order_relaxed);
  state_ = State::Waiting;
  if (upgrade_ && pool_->upgrades_apart()) return ask_by_http1();
  wait_for_connection(wish.fresh);
}

void Attempt::wait_for_connection(bool fresh) {
  if (upstream::Connection* connection = pool_->take(fresh)) return on_connection(*connection);
  const ErrorCode refused = pool_->wait(*this);
  if (refused != ErrorCode::None) return on_connection_failed(refused);
  const Duration longest = pool_->settings().pool.pending_timeout;
  if (longest > Duration::zero()) pool_->timers().arm(pending_timer_, longest);
}

// The same endpoint, by connections that agree on HTTP/1.1.
void Attempt::ask_by_http1() {
  shared_pool_ = pool_;
  pool_ = &pool_->upgrades();
  wait_for_connection(false);
}

void Attempt::on_pending_timeout() {
  pool_->cancel(*this);
  on_connection_failed(ErrorCode::PendingTimeout);
}

void Attempt::on_connection(upstream::Connection& connection) {
  pending_timer_.disarm();
  if (upgrade_ && !connection.takes_upgrades() && pool_->learn_upgrades_apart()) {
    return ask_by_http1();
  }
  // An extended CONNECT has no body (RFC 8441 4), so HTTP/1 is asked, for this one alone.
  const bool wants_http1 = upgrade_ && with_body_ && connection.multiplexed();
  if (wants_http1 && pool_->may_ask_by_http1()) return ask_by_http1();
  connection_ = &connection;
  written_before_ = connection.bytes_appended();
  stream_ = connection.open(*this);
  reused_ = connection.reused();
  state_ = State::Open;
  owner_.on_attempt_ready(*this);
}

void Attempt::on_connection_failed(ErrorCode code) {
  leave();
  // No stream was opened yet, so nothing else refuses one.
  learnt_http1_ = code == ErrorCode::StreamRefused;
  if (shared_pool_ != nullptr && code == ErrorCode::UpgradeUnsupported) {
    shared_pool_->note_no_upgrades();
    forgo_settling();
  }
  owner_.on_attempt_error(*this, code);
}

void Attempt::leave() {
  if (state_ == State::Idle) return;
  sent_on_closed_ = request_sent();
  state_ = State::Idle;
  drain_wait_ = false;
  pending_timer_.disarm();
  upstream::DrainWaiter::unlink();
  endpoint_->active.fetch_sub(1, std::memory_order_relaxed);
}

void Attempt::settle(const upstream::Outcome& outcome, TimePoint now) {
  if (std::exchange(unsettled_, false)) cluster_->settle(*endpoint_, ticket_, outcome, now);
}

void Attempt::forgo_settling() {
  if (std::exchange(unsettled_, false)) endpoint_->breaker.cancel(ticket_);
}

void Attempt::cancel() {
  forgo_settling();
  if (state_ == State::Waiting) pool_->cancel(*this);
  if (state_ == State::Open) {
    upstream::Connection& connection = *connection_;
    leave();
    connection.codec().cancel(stream_);
    connection.stream_done();
  }
  leave();
}

void Attempt::time_out() {
  upstream::Connection* const connection = state_ == State::Open ? connection_ : nullptr;
  cancel();
  if (connection != nullptr) connection->stream_timed_out();
}

bool Attempt::request_sent() const {
  if (state_ != State::Open) return sent_on_closed_;
  return connection_->bytes_committed() > written_before_;
}

void Attempt::send_head(const http::RequestHead& head, bool end) {
  // It may fail at once, and the next attempt have another connection by then.
  upstream::Connection& connection = *connection_;
  connection.codec().send_head(stream_, head, end);
  connection.schedule_flush();
}

void Attempt::send_body(std::string_view bytes) {
  // What came before still waits in the proxy, so this is as much as the watermark allows.
  if (connection_->write_blocked(stream_) && !drain_wait_) {
    drain_wait_ = true;
    connection_->wait_for_drain(*this);
  }
  connection_->codec().send_body(stream_, bytes);
  connection_->schedule_flush();
}

void Attempt::send_held_body(std::string_view bytes) {
  if (!connection_->multiplexed()) {
    send_body(bytes);
    return connection_->keep_output();
  }
  // This codec takes them when the connection flushes, which is before the turn ends.
  auto kept = std::make_unique<KeptBytes>();
  kept->bytes = bytes;
  send_body(kept->bytes);
  connection_->loop().destroy_later(std::move(kept));
}

void Attempt::send_end(const http::Headers& trailers) {
  upstream::Connection& connection = *connection_;
  request_ended_ = true;
  if (tunnel_ && response_ended_) leave();
  connection.codec().send_end(stream_, trailers);
  connection.schedule_flush();
}

void Attempt::pause() {
  connection_->pause(stream_);
}

void Attempt::resume() {
  if (state_ == State::Open) connection_->resume(stream_);
}

void Attempt::on_upstream_drained() {
  // The connection takes bytes again; the stream says so itself when its window opens.
  if (connection_->write_blocked(stream_)) return;
  drain_wait_ = false;
  owner_.on_attempt_drained();
}

void Attempt::on_request_writable() {
  if (!drain_wait_) return;
  if (connection_->write_blocked(stream_)) {
    if (!upstream::DrainWaiter::linked()) connection_->wait_for_drain(*this);
    return;
  }
  upstream::DrainWaiter::unlink();
  drain_wait_ = false;
  owner_.on_attempt_drained();
}

http::ResponseHead& Attempt::begin_response() {
  response_begun_ = true;
  head_ = &owner_.begin_response();
  return *head_;
}

void Attempt::on_response_head(bool end) {
  if (end) leave();
  owner_.on_attempt_head(*this, end);
}

void Attempt::on_response_end() {
  response_ended_ = true;
  if (!tunnel_ || request_ended_) leave();
  owner_.on_attempt_end();
}

// An origin may take requests by HTTP/2 and upgrades by HTTP/1.1 only.
bool Attempt::learn_http1() {
  if (!connection_->asks_for_http1()) return false;
  return upgrade_ ? pool_->learn_upgrades_apart() : pool_->learn_http1();
}

void Attempt::on_response_error(ErrorCode code) {
  learnt_http1_ = code == ErrorCode::StreamRefused && learn_http1();
  connection_lives_ = connection_->multiplexed() && connection_->takes_more();
  leave();
  owner_.on_attempt_error(*this, code);
}

}  // namespace tidegate::proxy
