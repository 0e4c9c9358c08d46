// SPDX-License-Identifier: Apache-2.0
// Step 10 of an exchange: the one place that logs and counts, whatever the outcome.
#include "proxy/exchange.h"

namespace tidegate::proxy {
namespace {

constexpr size_t kPoliciesLogged = 16;
// A connection is worth so long; see drop_origin_body for how many bytes.
constexpr Duration kReadRest = std::chrono::seconds(1);

std::string_view protocol_name(http::Version version) {
  switch (version) {
    case http::Version::Http10:
      return "HTTP/1.0";
    case http::Version::Http11:
      return "HTTP/1.1";
    case http::Version::Http2:
      break;
  }
  return "HTTP/2";
}

}  // namespace

void Exchange::finish() {
  if (stage_ == Stage::Finished) return;
  stage_ = Stage::Finished;
  disarm_attempt();
  exchange_timer_.disarm();
  record();
  give_back_places();
  release_downstream();
  if (log_filters_ran_) return finish_filters();
  log_filters_ran_ = true;
  run_filters(Hook::Log);
}

void Exchange::release_downstream() {
  if (downstream_ == nullptr) return;
  ListNode<Downstream>::unlink();
  std::exchange(downstream_, nullptr)->stream_ended(stream_);
}

void Exchange::record() {
  telemetry::WorkerMetrics& metrics = context_.metrics;
  const Duration took = elapsed();
  const unsigned final_status = response_started_ ? status() : describe(failure_.code).status;
  metrics.requests_active.subtract();
  if (tunnel_) metrics.tunnels_active.subtract();
  metrics.response(final_status);
  metrics.request_size.observe(bytes_in_);
  metrics.response_size.observe(bytes_out_);
  if (runtime_ != nullptr) {
    const_cast<RouteRuntime*>(runtime_)->metrics.response(final_status, took);
  }
  if (failure_.code == ErrorCode::ClientClosed) metrics.error(failure_.code);
  if (context_.access_log == nullptr || !context_.access_log->enabled()) return;

  std::array<telemetry::AccessPolicy, kPoliciesLogged> policies;
  size_t policy_count = 0;
  for (; policy_count < filter_count_ && policy_count < kPoliciesLogged; ++policy_count) {
    const Filter& filter = *calls_[policy_count].filter;
    policies[policy_count] = {filter.name(), filter.generation()};
  }
  telemetry::AccessRecord line;
  line.unix_ms = context_.wall_clock.unix_ms(context_.loop.now());
  line.request_id = request_id_;
  line.client_ip = client_ip_text_;
  line.listener = listener_;
  line.protocol = protocol_name(request_.version);
  line.method = request_.method_name;
  line.host = host_;
  line.path = request_.path;
  line.query = request_.query;
  line.user_agent = request_.headers.get(http::HeaderId::UserAgent);
  line.route = runtime_ == nullptr ? std::string_view() : runtime_->name;
  line.policies = {policies.data(), policy_count};
  if (cluster_ != nullptr && attempts_ > 0) line.cluster = cluster_->cluster.name();
  if (attempt_->endpoint() != nullptr) line.endpoint = attempt_->endpoint()->address;
  line.attempts = attempts_;
  line.hedge = hedge_result();
  line.status = final_status;
  line.error = failure_.code;
  line.duration = took;
  line.upstream = upstream_time_;
  line.bytes_in = bytes_in_;
  line.bytes_out = bytes_out_;
  context_.access_log->write(line);
}

void Exchange::finish_filters() {
  if (waiting_ != nullptr) return;  // an on_log hook; it comes here when it is done
  release_filters();
  if (!ListNode<Exchange>::linked()) return;
  if (attempt_->active()) {
    // The rest of a replaced body is still being read, for a moment.
    if (!timer_.armed()) context_.loop.timers().arm(timer_, kReadRest);
    if (std::exchange(origin_paused_, false)) attempt_->resume();
    return;
  }
  ListNode<Exchange>::unlink();
  context_.loop.destroy_later(std::unique_ptr<net::Deferred>(this));
}

}  // namespace tidegate::proxy
