// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "base/timers.h"
#include "http/codec.h"
#include "net/event_loop.h"
#include "proxy/attempt.h"
#include "proxy/context.h"
#include "proxy/downstream.h"
#include "proxy/filter.h"
#include "proxy/hedge.h"
#include "proxy/route_table.h"
#include "proxy/vars.h"
#include "proxy/websocket.h"

namespace tidegate::proxy {

/// Why a local error reply is about to be made; what on_error hooks look at.
struct Failure {
  ErrorCode code = ErrorCode::None;
  std::string_view detail;  // for the log, never for the client; in the exchange's arena
  Duration retry_after{};   // for the client, when it is known
  uint16_t status = 0;      // of the reply; 0: that of the code
};

/// A response that the proxy makes itself. `headers` are added to content-type and framing.
struct LocalReply {
  uint16_t status = 200;
  std::string_view body;          // copied
  std::string_view content_type;  // empty: text/plain when there is a body and `headers` name none
  std::span<const std::pair<std::string_view, std::string_view>> headers;
};

/// Why a body cannot be had: an error of the exchange, or that nobody will receive it any more.
struct BodyError {
  BodyError(ErrorCode error = ErrorCode::None)  // NOLINT: an error code is the usual reason
      : code(error), text(error == ErrorCode::None ? std::string_view() : describe(error).token) {}
  /// Its bytes have gone, to the origin or to the client, and were not kept.
  static BodyError sent() { return {ErrorCode::Internal, "the body has been sent"}; }
  /// The exchange has been answered, or given up, before all of it arrived.
  static BodyError ended() { return {ErrorCode::Internal, "exchange_ended"}; }
  explicit operator bool() const { return code != ErrorCode::None; }

  ErrorCode code;
  std::string_view text;  // what scripts see: a token or a short sentence

 private:
  BodyError(ErrorCode error, std::string_view why) : code(error), text(why) {}
};

/// Waits for a whole body; called once, perhaps from inside read_*_body. `body` is empty and
/// `error` set when it could not be had (too large, broken off); it stays valid as long as the
/// exchange.
class BodyWaiter {
 public:
  /// So many bytes of it are there by now, which are kept for the waiter's sake. False: too many.
  virtual bool hold(size_t /*size*/) { return true; }
  virtual void on_body(std::string_view body, const BodyError& error) = 0;

 protected:
  ~BodyWaiter() = default;
};

/// One client request and all that is done to answer it, until logged. Created by the downstream
/// connection, kept by the worker, used in the worker's thread only. Its way, numbered as in the
/// sources:
///
///   1. the request head arrives: forwarding headers, id, canonical path, hop-by-hop
///   2. the router finds a route and, with it, the filter chain; its limits are looked at
///   3. filters see the request (on_request); one may answer at once
///   4. the route's action: a local answer (respond, redirect, echo), or a cluster
///   5. an endpoint is chosen (select_backend, then the balancer) and an attempt begins
///   6. the request streams to the origin, as fast as it takes it
///   7. the response head arrives, or the attempt fails: then on_error and a local reply
///   8. filters see the response in reverse order (on_response)
///   9. the response streams to the client, as fast as it takes it
///  10. finish: the one place that logs, counts and runs on_log, whatever the outcome
class Exchange final : public net::Deferred,
                       public ListNode<Exchange>,
                       public ListNode<Downstream>,
                       public http::RequestReceiver,
                       private AttemptOwner,
                       private upstream::HashKeySource {
 public:
  /// Enters itself into the worker's list and destroys itself when it has been logged.
  Exchange(WorkerContext& context, Downstream& downstream, http::StreamId stream);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() override;

  // ---- for the downstream connection ----

  void on_request_head(bool end) override;
  void on_request_body(std::string_view bytes) override;
  void on_request_end() override;
  void on_request_error(ErrorCode code) override;
  void on_response_writable() override { on_downstream_drained(); }
  /// The client's connection is gone: nobody is left to answer.
  void on_client_gone();
  /// What waited for the client has been written: the origin may send more.
  void on_downstream_drained();

  // ---- for filters ----

  http::RequestHead& request() { return request_; }
  /// nullptr before the response head.
  http::ResponseHead* response() { return response_; }
  Arena& arena() { return arena_; }
  WorkerContext& context() { return context_; }
  std::string_view id() const { return request_id_; }
  const IpAddress& client_ip() const { return client_ip_; }
  std::string_view client_ip_text() const { return client_ip_text_; }
  uint16_t client_port() const { return client_port_; }
  /// What was agreed with the client; nullptr: cleartext.
  const net::TlsFacts* tls();
  /// Name of the host asked for: lower case, without port.
  std::string_view host() const { return host_; }
  /// nullptr: no route matched.
  const config::Route* route() const { return runtime_ == nullptr ? nullptr : runtime_->route; }
  const RouteTable& routes() const { return *table_; }
  Vars& vars() { return vars_; }

  /// The cluster to send to. False: there is none of that name, or the filters of the request are
  /// through, and it can no longer be changed.
  bool set_cluster(std::string_view name);
  /// Keeps the cluster's present endpoints for as long as the exchange. To be called before a
  /// pointer to one of them is kept.
  void pin_members(upstream::Cluster& cluster);
  upstream::Cluster* cluster() const { return cluster_ == nullptr ? nullptr : &cluster_->cluster; }
  /// Time to the response head.
  void set_timeout(Duration timeout) { timeout_ = timeout, response_deadline_ = {}; }
  Duration timeout() const { return timeout_; }
  /// Path and query for the origin; the route has been chosen and stays. REQUIRES: in arena().
  void set_path(std::string_view path);

  /// Answers (on_request, select_backend, on_error: the answer; on_response: instead of the one at
  /// hand). The filter then gives Verdict::Stop. False: an answer has begun to go out already.
  bool reply(const LocalReply& reply);
  /// Answers with the local reply of that error. `detail` is for the log. The filter gives Stop.
  void fail(ErrorCode code, std::string_view detail);
  const Failure& failure() const { return failure_; }
  bool can_reply() const { return !response_started_; }

  // The functions below may be called in any hook and at any time, on_log included: what is over by
  // then, because a side has been released or its bytes have gone, gives an error or does nothing.

  /// The whole request body, at most `limit` bytes; not after it has begun to go to an origin.
  void read_request_body(size_t limit, BodyWaiter& waiter);
  /// Replaces it; what the client still sends of its own is read and dropped.
  void set_request_body(std::string_view body);
  void read_response_body(size_t limit, BodyWaiter& waiter);
  void set_response_body(std::string_view body);
  void cancel_body_wait(BodyWaiter& waiter);

  /// In select_backend: overrules the balancer.
  void choose_endpoint(upstream::Endpoint* endpoint) { chosen_ = endpoint; }
  /// The endpoint of the current attempt, or nullptr.
  const upstream::Endpoint* endpoint() const { return attempt_->endpoint(); }
  /// It as a member of its cluster, pinned.
  const upstream::Member* member() const;
  unsigned attempts() const { return attempts_; }
  /// Endpoints of earlier attempts and the current one.
  std::span<const upstream::Endpoint* const> tried() const { return tried_; }
  /// For a pick on behalf of this exchange.
  upstream::PickContext pick_context() { return {tried(), context_.loop.now(), this}; }
  /// In on_response: drops the origin's response and makes another attempt; the filter then gives
  /// Verdict::Stop. False: the request can not be repeated, or no more retries are allowed.
  bool request_retry();
  /// Why the attempt before failed: an error's token, or the status that was not wanted; else
  /// empty.
  std::string_view last_failure();
  bool response_from_origin() const { return response_from_origin_; }
  /// A tunnel has been opened.
  bool tunnels() const { return tunnel_; }
  /// Since the request head arrived.
  Duration elapsed() const;
  uint16_t status() const { return response_ == nullptr ? 0 : response_->status; }

  /// A filter that gave Verdict::Wait goes on. REQUIRES: it still waits.
  void proceed(FilterCall& call, Verdict verdict);

  // ---- for handlers ----

  /// The local answer of a route without a cluster.
  void answer(const LocalReply& reply);
  /// As `fail`, outside of filters.
  void reject(ErrorCode code);

  // ---- for the worker ----

  /// The proxy stops: ends at once, answered or not.
  void abandon();

 private:
  enum class Stage : uint8_t { Head, Filters, Handling, Attempting, Responding, Finished };
  enum class Decision : uint8_t { None, Reply, Fail, Retry };
  /// In the arena.
  struct PinnedMembers {
    upstream::Membership* members;
    PinnedMembers* next;
  };
  enum class TimerKind : uint8_t { RequestBody, Response, Idle };

  // exchange.cc: steps 1 to 4
  bool refuse_connect(bool end);
  void refuse();
  Result<void> accept_head();
  void identify(const Peer& peer);
  void find_route();
  void act_on_route();
  void on_timeout();
  void on_exchange_timeout();
  uint64_t body_min_rate() const;
  void on_try_timeout();
  void arm_exchange(Duration after);
  void arm(TimerKind kind);
  Duration arm_response();
  void release_downstream();
  void on_client_left();

  // exchange_limits.cc
  bool admit();
  bool enter_route(RouteLoad& load);
  bool enter_cluster();
  void hold(uint64_t& count);
  void give_back_place(uint64_t& place);
  void give_back_retry_place();
  void give_back_places_of_waiting();
  void give_back_places();
  void step_aside();
  bool come_back();
  bool within_rates();
  bool refuse_rate(LimitRuntime& runtime, const NamedLimit::Taken& taken);
  std::string_view limit_key(const config::Limit& limit);
  void note_rate(const config::Limit& limit, const NamedLimit::Taken& taken);
  void add_rate_fields(http::Headers& headers) const;

  // exchange_filters.cc
  void run_filters(Hook hook);
  void continue_filters();
  bool next_filter(size_t& index);
  void filters_done();
  void filters_stopped();
  void release_filters();
  void cancel_wait();

  // exchange_request.cc: steps 5 and 6
  void select_endpoint();
  void begin_attempt();
  void note_tried(const upstream::Endpoint* endpoint);
  std::string_view hash_key(const config::HashOn& what) const override;
  uint8_t client_line() const;
  void note_attempt(const upstream::Endpoint& endpoint);
  void on_attempt_ready(Attempt& attempt) override;
  void send_upstream_head(Attempt& attempt);
  std::string_view upstream_path();
  std::string_view upstream_host(const upstream::Endpoint& endpoint);
  void take_body(std::string_view bytes);
  void note_request_activity();
  void sift_request_trailers();
  void request_complete();
  void pause_client();
  void resume_client();
  void on_attempt_drained() override;
  upstream::ProxiedClient& proxied_client() override { return downstream_->proxied_client(); }
  bool may_retry_for_free(const Attempt& attempt, ErrorCode code) const;
  void tell_deadline();
  BodyError request_body_gone() const;
  void finish_body_wait(BodyWaiter*& waiter, std::string_view body, const BodyError& error);

  // exchange_retry.cc
  bool may_repeat(ErrorCode code) const;
  bool wants_replay(const Attempt& attempt) const;
  size_t replay_limit() const;
  void keep_for_replay(std::string_view bytes);
  void drop_replay();
  bool retry_failure(ErrorCode code);
  bool retry_status();
  bool take_retry();
  void on_retry_due();
  bool take_retry_place();
  bool can_go_elsewhere() const;
  Duration retry_wait(telemetry::RetryReason reason);
  bool is_too_long(Duration wait) const;
  TimePoint last_moment() const;
  bool enter_retry_budget();
  void fail_without_endpoint();
  bool retry(const upstream::Outcome& failed, telemetry::RetryReason reason, Duration at_least);
  bool receiver_moves();
  void begin_script_retry();
  int64_t unix_ms() const;
  void begin_retry(const upstream::Outcome& failed, telemetry::RetryReason reason, Duration wait);
  void forget_response();
  void disarm_attempt();
  void cancel_attempts();

  // exchange_hedge.cc
  void arm_hedge();
  void on_hedge_due();
  bool may_hedge() const;
  bool enter_hedge();
  bool takes_same_endpoint(upstream::Cluster::Admission& admission) const;
  void begin_hedge(upstream::Cluster::Admission admission);
  bool goes_on_without(Attempt& over, const upstream::Outcome& why);
  void decide_race(Attempt& winner);
  void drop_hedge();
  bool hedge_choice_failed();
  std::string_view hedge_result() const;

  // exchange_response.cc: steps 7 to 9
  http::ResponseHead& begin_response() override;
  void on_attempt_interim(Attempt& attempt) override;
  void on_attempt_head(Attempt& attempt, bool end) override;
  void note_head(Attempt& attempt);
  void add_forwarded_fields();
  void on_attempt_body(std::string_view bytes) override;
  void on_attempt_end() override;
  void on_attempt_error(Attempt& attempt, ErrorCode code) override;
  bool declines_wrongly() const;
  void reject_upgrade();
  void settle_attempt(Attempt& attempt, ErrorCode code);
  void time_attempt_out(ErrorCode code);
  void start_failure();
  void reply_with_problem();
  void make_local_response(const LocalReply& reply);
  void start_response();
  void send_response();
  void send_buffered_response();
  void response_done();
  void drop_origin_body(size_t size);
  void break_off(ErrorCode code);

  // exchange_finish.cc: step 10
  void finish();
  void record();
  void finish_filters();

  WorkerContext& context_;
  Downstream* downstream_;  // nullptr: the client's side is done with
  const http::StreamId stream_;
  uint16_t client_port_ = 0;
  Stage stage_ = Stage::Head;
  Hook hook_ = Hook::Request;
  Decision decision_ = Decision::None;
  TimerKind timer_kind_ = TimerKind::RequestBody;
  // the request's side
  bool request_ended_ = false;     // all of it has arrived
  bool request_complete_ = false;  // all of what the origin gets is known
  bool request_broken_ = false;    // the codec gave it up
  bool body_replaced_ = false;     // by a script: the client's own is dropped
  bool path_replaced_ = false;
  bool encoded_slash_ = false;  // %2F or %5C stands in the path
  bool client_paused_ = false;
  bool continue_sent_ = false;
  bool keeps_replay_ = false;
  bool free_retry_used_ = false;
  bool answering_ = false;  // the response's head and what is held of it are being handed over
  bool has_retry_place_ = false;  // beyond the share of requests
  bool body_lost_ = false;        // some of it has been sent and not kept
  bool tunnel_ = false;
  // the response's side
  bool response_from_origin_ = false;
  bool response_started_ = false;  // its head has gone to the client
  bool origin_complete_ = false;   // all of it has arrived
  bool origin_paused_ = false;
  uint64_t moved_before_ = 0;               // see receiver_moves
  bool sending_head_ = false;               // to the origin; path and Host are lent out
  ErrorCode head_error_ = ErrorCode::None;  // of what was refused meanwhile
  bool response_replaced_ = false;
  // filters
  bool error_filters_ran_ = false;
  bool response_filters_ran_ = false;
  bool log_filters_ran_ = false;
  uint8_t held_count_ = 0;
  uint8_t retries_ = 0;
  uint16_t attempts_ = 0;
  uint16_t filter_count_ = 0;
  uint16_t filters_reached_ = 0;  // those whose on_request has been run, or passed over
  uint16_t next_filter_ = 0;
  ErrorCode origin_error_ = ErrorCode::None;  // while filters still look at the head

  Arena arena_;
  http::RequestHead request_;
  http::ResponseHead* response_ = nullptr;
  RouteTable* table_;
  const RouteRuntime* runtime_ = nullptr;
  ClusterRuntime* cluster_ = nullptr;
  struct RateFields {
    std::string_view policy;
    std::string_view state;
  };
  // Places taken: of route, client, cluster, its adaptive limit, its retry budget.
  std::array<uint64_t*, 5> held_;
  RateFields* rates_ = nullptr;  // what responses say of the limits; nullptr: nothing
  FilterChain* chain_ = nullptr;
  FilterCall* calls_ = nullptr;
  FilterCall* waiting_ = nullptr;
  BodyWaiter* request_waiter_ = nullptr;
  BodyWaiter* response_waiter_ = nullptr;
  size_t request_wait_limit_ = 0;
  size_t response_wait_limit_ = 0;
  std::string_view request_id_;
  std::string_view client_ip_text_;
  std::string_view listener_;
  std::string_view host_;
  std::string_view local_body_;
  std::string_view received_;  // of a TRACE: what the client gets back, see max_forwards.h
  IpAddress client_ip_;
  net::TlsFacts::Pin tls_;  // once a filter has asked, or from the start if one will in on_log
  Vars vars_;
  WebsocketKeys websocket_;
  Failure failure_;
  upstream::Outcome last_failure_;  // of the attempt before
  // Why the next attempt is made, to be counted when it begins; Count_: it is no retry.
  telemetry::RetryReason next_retry_ = telemetry::RetryReason::Count_;
  PinnedMembers* pinned_ = nullptr;
  upstream::Endpoint* chosen_ = nullptr;
  std::span<const upstream::Endpoint*> tried_;  // in the arena
  Attempt first_attempt_;
  Attempt* attempt_ = &first_attempt_;  // of two that race, the older
  Hedge* hedge_ = nullptr;
  std::string body_;           // request bytes held: not sent yet, or kept for replay
  std::string response_body_;  // response bytes held while filters run
  Timer timer_;
  Timer exchange_timer_;
  Timer try_timer_;
  Timer retry_timer_;
  Duration timeout_{};
  TimePoint started_;
  Duration script_wait_{};         // before the retry that a script asked for
  TimePoint response_deadline_{};  // of all attempts; once the request is complete
  TimePoint deadline_{};           // of the whole exchange; none: the epoch
  Duration upstream_time_{-1};
  uint64_t bytes_in_ = 0;
  uint64_t bytes_in_before_ = 0;  // when the body's timer was last looked at
  uint64_t bytes_out_ = 0;
  size_t dropped_ = 0;  // bytes of an origin's body that a script has replaced
};

}  // namespace tidegate::proxy
