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
#include "proxy/attempt.h"
#include "proxy/body_buffer.h"
#include "proxy/downstream.h"
#include "proxy/filter.h"
#include "proxy/filter_chain.h"
#include "proxy/vars.h"
#include "upstream/cluster.h"

namespace tidegate::proxy {

struct WorkerContext;
struct RouteRuntime;
class RouteTable;

/// Why a local error reply is about to be made; what on_error hooks look at.
struct Failure {
  ErrorCode code = ErrorCode::None;
  std::string_view detail;  // for the log, never for the client; in the exchange's arena
};

/// A response that the proxy makes itself. `headers` are added to content-type and framing.
struct LocalReply {
  uint16_t status = 200;
  std::string_view body;          // copied
  std::string_view content_type;  // empty: text/plain when there is a body and `headers` name none
  std::span<const std::pair<std::string_view, std::string_view>> headers;
};

/// Waits for a whole body; called once, perhaps from inside read_*_body. `body` is empty and `error`
/// set when it could not be had (too large, broken off); it stays valid as long as the exchange.
class BodyWaiter {
 public:
  virtual void on_body(std::string_view body, ErrorCode error) = 0;

 protected:
  ~BodyWaiter() = default;
};

/// One client request and all that is done to answer it, until logged. Created by the downstream
/// connection, kept by the worker, used in the worker's thread only. Its way, numbered as in the
/// sources:
///
///   1. the request head arrives: forwarding headers, id, canonical path, hop-by-hop
///   2. the router finds a route and, with it, the filter chain
///   3. filters see the request (on_request); one may answer at once
///   4. the route's action: a local answer (respond, redirect, echo), or a cluster
///   5. an endpoint is chosen (select_backend, then the balancer) and an attempt begins
///   6. the request streams to the origin, as fast as it takes it
///   7. the response head arrives, or the attempt fails: then on_error and a local reply
///   8. filters see the response in reverse order (on_response)
///   9. the response streams to the client, as fast as it takes it
///  10. finish: the one place that logs, counts and runs on_log, whatever the outcome
class Exchange final : public http::RequestReceiver, private AttemptOwner {
 public:
  Exchange(WorkerContext& context, Downstream& downstream, http::StreamId stream);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  // ---- for the downstream connection ----

  void on_request_head(bool end) override;
  void on_request_body(std::string_view bytes) override;
  void on_request_end() override;
  void on_request_error(ErrorCode code) override;
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
  /// Path and query as the client sent them.
  std::string_view raw_target() const { return request_.target; }
  const IpAddress& client_ip() const { return client_ip_; }
  uint16_t client_port() const;
  const config::Route* route() const;
  Vars& vars() { return vars_; }

  /// The cluster to send to; before the first attempt. False: no cluster of that name.
  bool set_cluster(std::string_view name);
  upstream::Cluster* cluster() const { return cluster_; }
  /// Time to the response head.
  void set_timeout(Duration timeout) { timeout_ = timeout; }
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
  const upstream::Endpoint* endpoint() const { return attempt_.endpoint(); }
  unsigned attempts() const { return attempts_; }
  std::span<const upstream::Endpoint* const> tried() const;
  bool response_from_origin() const { return response_from_origin_; }
  /// Since the request head arrived.
  Duration elapsed() const;
  uint16_t status() const { return response_ == nullptr ? 0 : response_->status; }

  /// A filter that gave Verdict::Wait goes on. REQUIRES: it still waits.
  void proceed(FilterCall& call, Verdict verdict);

  // ---- for the worker ----

  Exchange* next_in_worker = nullptr;  // the worker's list of exchanges
  Exchange* previous_in_worker = nullptr;
