// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange.h"

#include "http/hop_by_hop.h"
#include "http/host.h"
#include "http/path.h"
#include "proxy/deadline.h"
#include "proxy/local_reply.h"
#include "proxy/max_forwards.h"
#include "proxy/via.h"

namespace tidegate::proxy {

Exchange::Exchange(WorkerContext& context, Downstream& downstream, http::StreamId stream)
    : context_(context),
      downstream_(&downstream),
      stream_(stream),
      arena_(context.arena_blocks),
      request_(arena_),
      table_(context.routes->pin()),
      vars_(arena_),
      first_attempt_(*this),
      timer_([](void* self) { static_cast<Exchange*>(self)->on_timeout(); }, this),
      exchange_timer_([](void* self) { static_cast<Exchange*>(self)->on_exchange_timeout(); },
                      this),
      try_timer_([](void* self) { static_cast<Exchange*>(self)->on_try_timeout(); }, this),
      retry_timer_([](void* self) { static_cast<Exchange*>(self)->on_retry_due(); }, this),
      started_(context.loop.now()) {
  context_.exchanges.push_back(*this);
  context_.metrics.requests_active.add();
}

Exchange::~Exchange() {
  cancel_attempts();
  if (hedge_ != nullptr) {
    if (hedge_->attempt != nullptr) hedge_->attempt->~Attempt();
    hedge_->~Hedge();
  }
  for (; pinned_ != nullptr; pinned_ = pinned_->next) pinned_->members->unpin();
  if (chain_ != nullptr) chain_->unpin();
  table_->unpin();
}

Duration Exchange::elapsed() const {
  return context_.loop.now() - started_;
}

// 1. The request head arrives.
void Exchange::on_request_head(bool end) {
  request_ended_ = request_complete_ = end;
  stage_ = Stage::Filters;
  if (!end) arm(TimerKind::RequestBody);
  if (request_.method == http::Method::Trace) [[unlikely]]
    received_ = text_of_received(request_);
  const Result<void> accepted = accept_head();
  find_route();
  if (request_.method == http::Method::Connect && refuse_connect(end)) return refuse();
  if (!accepted) return fail(accepted.error(), "request head"), refuse();
  if (runtime_->route == nullptr) return fail(ErrorCode::NoRoute, {}), refuse();
  const config::Route& route = *runtime_->route;
  if (encoded_slash_ && !route.allow_encoded_slashes) {
    return fail(ErrorCode::BadRequest, "encoded slash"), refuse();
  }
  timeout_ = route.timeout;
  arm_exchange(route.exchange_timeout);
  if (route.max_body > 0 && request_.body == http::BodyKind::Sized &&
      request_.content_length > route.max_body) {
    return fail(ErrorCode::BodyTooLarge, "content-length"), refuse();
  }
  if (!admit()) return refuse();
  // 3. Filters see the request.
  run_filters(Hook::Request);
}

// Before any filter has seen the request. All of them see the answer, but for an overloaded
// proxy's, which must cost nothing.
void Exchange::refuse() {
  if (failure_.code == ErrorCode::Overloaded) {
    error_filters_ran_ = true;
  } else {
    filters_reached_ = filter_count_;
  }
  start_failure();
}

bool Exchange::refuse_connect(bool end) {
  const config::Route* route = runtime_->route;
  if (route == nullptr || !route->allow_connect) {
    fail(ErrorCode::MethodUnsupported, "allow_connect");
    return true;
  }
  // Bytes behind the head are the tunnel's, and have no framing (RFC 9110 9.3.6).
  if (!end) fail(ErrorCode::BadRequest, "CONNECT with a body");
  return !end;
}

Result<void> Exchange::accept_head() {
  const Peer peer = downstream_->peer(arena_);
  client_port_ = peer.port;
  Result<void> result;
  const auto note = [&result](ErrorCode code) {
    if (result) result = tl::unexpected(code);
  };
  // Known from the connection: what the client says of it decides nothing.
  request_.scheme = peer.scheme;
  if (const auto authority = http::split_authority(request_.authority, arena_)) {
    host_ = authority->host;
    // An absolute target overrules Host (RFC 9112 3.2.2), for the origin too.
    if (request_.headers.get(http::HeaderId::Host) != request_.authority) {
      request_.headers.set(http::HeaderId::Host, request_.authority);
    }
  } else {
    note(authority.error());
    request_.authority = {};
  }
  const config::Listener& listener = downstream_->listener();
  const auto slashes = listener.merge_slashes ? http::Slashes::Merge : http::Slashes::Keep;
  if (const auto path = http::normalise_path(request_.path, arena_, slashes)) {
    request_.path = path->text;
    encoded_slash_ = path->has_encoded_slash;
  } else {
    note(path.error());
  }
  if (request_.has_query) request_.query = http::normalise_query(request_.query, arena_);
  const bool via = listener.via == config::Via::Add;
  if (via && came_through_here(request_)) note(ErrorCode::LoopDetected);
  // Strips before the proxy adds its own fields, so that a client's Connection header cannot remove
  // them.
  if (const auto stripped = http::strip_hop_by_hop(request_); !stripped) note(stripped.error());
  if (via) add_via(request_);
  identify(peer);
  return result;
}

void Exchange::identify(const Peer& peer) {
  const Forwarded from = apply_forwarding(request_, peer, context_.ids);
  client_ip_ = from.client_ip;
  client_ip_text_ = from.client_ip_text;
  // It may stand in a listener that goes before on_log has run.
  listener_ = arena_.copy(downstream_->listener().name);
  request_id_ = from.request_id;
}

// 2. The router finds a route, its filter chain and its limits.
void Exchange::find_route() {
  runtime_ = &table_->match(request_, host_, downstream_->listener().name);
  cluster_ = runtime_->cluster;
  chain_ = runtime_->chain->pin();
  runtime_->metrics.request(request_.method);
  const auto& filters = chain_->filters();
  filter_count_ = static_cast<uint16_t>(filters.size());
  if (filter_count_ == 0) return;
  // on_log may run when the connection has gone.
  if ((chain_->hooks() & hook_bit(Hook::Log)) != 0) (void)tls();
  calls_ = static_cast<FilterCall*>(arena_.allocate(sizeof(FilterCall) * filter_count_));
  for (size_t i = 0; i < filter_count_; ++i) new (&calls_[i]) FilterCall{this, filters[i], nullptr};
}

// 4. The route's action.
void Exchange::act_on_route() {
  if (cluster_ != nullptr) {
    if (take_forward(request_)) return select_endpoint();
    stage_ = Stage::Handling;
    return answer_last_recipient(*this, received_);
  }
  stage_ = Stage::Handling;
  runtime_->handler->handle(*this);
}

void Exchange::answer(const LocalReply& reply) {
  make_local_response(reply);
  start_response();
}

void Exchange::reject(ErrorCode code) {
  fail(code, {});
  start_failure();
}

bool Exchange::set_cluster(std::string_view name) {
  if (attempts_ > 0 || stage_ != Stage::Filters) return false;
  ClusterRuntime* found = table_->find_cluster(name);
  if (found == nullptr) return false;
  cluster_ = found;
  return true;
}

void Exchange::pin_members(upstream::Cluster& cluster) {
  upstream::Membership& members = cluster.membership();
  for (const PinnedMembers* one = pinned_; one != nullptr; one = one->next) {
    if (one->members == &members) return;
  }
  void* place = arena_.allocate(sizeof(PinnedMembers));
  pinned_ = new (place) PinnedMembers{members.pin(), pinned_};
}

const upstream::Member* Exchange::member() const {
  if (endpoint() == nullptr) return nullptr;
  const PinnedMembers* one = pinned_;
  while (one != nullptr && one->members->find(endpoint()) == nullptr) one = one->next;
  return one == nullptr ? nullptr : one->members->find(endpoint());
}

void Exchange::set_path(std::string_view path) {
  path_replaced_ = true;
  const size_t question = path.find('?');
  request_.path = path.substr(0, question);
  request_.has_query = question != std::string_view::npos;
  request_.query = request_.has_query ? path.substr(question + 1) : std::string_view();
}

void Exchange::on_request_error(ErrorCode code) {
  request_broken_ = request_ended_ = true;
  if (code == ErrorCode::ClientClosed) return on_client_left();
  // A request that broke before its head was complete has met neither route nor filters.
  // It is no request that a script could look at; only on_log hears of it.
  if (stage_ == Stage::Head) {
    (void)accept_head();
    find_route();
    error_filters_ran_ = true;
  }
  if (stage_ == Stage::Finished) return;
  if (response_started_) return break_off(code);
  cancel_wait();
  if (downstream_ != nullptr) {
    downstream_->codec().give_up_request(stream_);
    // What it still sends is dropped, and a filter may take its time over the answer.
    client_paused_ = true;
    downstream_->pause_request(stream_);
  }
  fail(code, "request");
  start_failure();
}

const net::TlsFacts* Exchange::tls() {
  if (tls_ == nullptr && downstream_ != nullptr) tls_ = downstream_->tls();
  return tls_.get();
}

void Exchange::on_client_gone() {
  downstream_ = nullptr;
  on_client_left();
}

void Exchange::on_client_left() {
  if (stage_ == Stage::Finished) return;
  cancel_wait();
  cancel_attempts();
  failure_ = {ErrorCode::ClientClosed, {}};
  finish();
}

void Exchange::abandon() {
  if (stage_ != Stage::Finished) {
    cancel_wait();
    cancel_attempts();
    if (failure_.code == ErrorCode::None) context_.metrics.error(ErrorCode::Draining);
    failure_ = {ErrorCode::Draining, "stopped"};
    if (downstream_ != nullptr) downstream_->codec().reset(stream_, ErrorCode::Draining);
    finish();
  }
  if (!ListNode<Exchange>::linked()) return;
  cancel_wait();
  attempt_->cancel();
  finish_filters();
}

// By the route, or by the client where that is sooner.
void Exchange::arm_exchange(Duration after) {
  const auto asked = parse_grpc_timeout(request_.headers.get(http::HeaderId::GrpcTimeout));
  if (asked && (after <= Duration::zero() || *asked < after)) after = std::max(*asked, Duration(1));
  if (after <= Duration::zero()) return;
  deadline_ = context_.loop.now() + after;
  context_.loop.timers().arm(exchange_timer_, after);
}

// What is left for the response, over all attempts.
Duration Exchange::arm_response() {
  const TimePoint now = context_.loop.now();
  if (cluster_ != nullptr) {
    const Duration one = cluster_->retry.settings().per_try_timeout;
    if (one > Duration::zero()) context_.loop.timers().arm(try_timer_, one);
    if (cluster_->retry.hedges()) arm_hedge();
  }
  if (timeout_ <= Duration::zero()) return timeout_;
  if (!request_complete_ || response_deadline_ == TimePoint()) response_deadline_ = now + timeout_;
  return std::max(response_deadline_ - now, Duration(1));
}

void Exchange::on_try_timeout() {
  const bool last = timeout_ > Duration::zero() && context_.loop.now() >= response_deadline_;
  time_attempt_out(last ? ErrorCode::ResponseTimeout : ErrorCode::PerTryTimeout);
}

void Exchange::arm(TimerKind kind) {
  Duration after{};
  try_timer_.disarm();
  switch (kind) {
    case TimerKind::RequestBody:
      if (downstream_ == nullptr) break;  // nothing more comes
      after = downstream_->listener().body_timeout;
      break;
    case TimerKind::Response:
      after = arm_response();
      break;
    case TimerKind::Idle:
      after = runtime_->route == nullptr ? Duration::zero() : runtime_->route->idle_timeout;
      break;
  }
  timer_kind_ = kind;
  if (after <= Duration::zero()) return timer_.disarm();
  context_.loop.timers().arm(timer_, after);
}

/// Not of streams, which may well pause; nor of a client that hears an answer already.
uint64_t Exchange::body_min_rate() const {
  if (tunnel_ || response_started_ || is_grpc(request_)) return 0;
  return downstream_->listener().body_min_rate;
}

void Exchange::on_timeout() {
  if (stage_ == Stage::Finished) {  // the time for the rest of a replaced body is over
    attempt_->cancel();
    return finish_filters();
  }
  switch (timer_kind_) {
    case TimerKind::RequestBody: {
      const config::Listener& listener = downstream_->listener();
      const uint64_t got = bytes_in_ - std::exchange(bytes_in_before_, bytes_in_);
      const auto wanted = std::chrono::duration<double>(listener.body_timeout).count() *
                          static_cast<double>(body_min_rate());
      if (wanted > 0 && static_cast<double>(got) >= wanted) return arm(TimerKind::RequestBody);
      return on_request_error(ErrorCode::RequestTimeout);
    }
    case TimerKind::Response:
      return time_attempt_out(ErrorCode::ResponseTimeout);
    case TimerKind::Idle:
      if (receiver_moves()) return arm(TimerKind::Idle);
      return time_attempt_out(ErrorCode::IdleTimeout);
  }
}

/// What waits for a slow receiver has gone on its way since this was asked last, so that nothing
/// stands still. Of an origin's connection that others share this is not known.
bool Exchange::receiver_moves() {
  const bool client_slow = origin_paused_ && response_started_ && downstream_ != nullptr;
  const bool origin_slow = client_paused_ && attempt_->open() && !attempt_->multiplexed();
  if (!client_slow && !origin_slow) return false;
  uint64_t moved = 0;
  if (client_slow) moved += downstream_->bytes_taken();
  if (origin_slow) moved += attempt_->bytes_taken();
  return std::exchange(moved_before_, moved) != moved;
}

// Its endpoint hears of it before it is given up.
void Exchange::time_attempt_out(ErrorCode code) {
  if (hedge_ != nullptr && code != ErrorCode::PerTryTimeout) {
    // There is no time for the other either; it had less, so that is no news of its endpoint.
    if (hedge_->state == Hedge::State::Choosing) cancel_wait();
    drop_hedge();
  }
  settle_attempt(*attempt_, code);
  code == ErrorCode::IdleTimeout ? attempt_->cancel() : attempt_->time_out();
  on_attempt_error(*attempt_, code);
}

void Exchange::on_exchange_timeout() {
  if (response_started_) return break_off(ErrorCode::ExchangeTimeout);
  cancel_wait();
  fail(ErrorCode::ExchangeTimeout, {});
  start_failure();
}

void Exchange::on_downstream_drained() {
  if (!origin_paused_ && response_body_.empty()) return;
  if (downstream_ != nullptr && downstream_->write_blocked(stream_)) return;
  if (response_started_) response_body_ = std::string();  // `= {}` would keep the memory
  if (!origin_paused_) return;
  origin_paused_ = false;
  attempt_->resume();
  if (stage_ == Stage::Responding) arm(TimerKind::Idle);
}

}  // namespace tidegate::proxy
