// SPDX-License-Identifier: Apache-2.0
// Bundles of one worker's cells, looked up once at set-up or reload, so that the data path adds
// without looking anything up. Copies share the cells, which stay as long as one of them.
#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "telemetry/registry.h"

namespace tidegate::telemetry {

/// What a worker counts whatever the route.
struct WorkerMetrics {
  explicit WorkerMetrics(Shard& shard);

  Counter& connections_total;  // client connections
  Gauge& connections_active;
  Counter& connections_refused_total;  // over max_connections
  Gauge& client_streams_active;
  Counter& accept_errors_total;
  Gauge& tunnels_active;
  Gauge& requests_active;
  Counter& responses_total;
  Counter& responses_failed_total;
  Histogram& request_size;  // bytes of body
  Histogram& response_size;
  Gauge& backend_connections_active;
  Counter& access_log_dropped_total;

  /// A client has begun to speak.
  void connection_opened(bool http2, bool tls) { opened_[http2 * 2 + tls]->add(); }
  /// An exchange got its response.
  void response(unsigned status) {
    responses_total.add();
    if (status >= 500) responses_failed_total.add();
  }
  void error(ErrorCode code) { errors_[static_cast<size_t>(code)].add(); }

 private:
  std::array<Counter*, 4> opened_;
  Counter* errors_;
};

struct RouteMetrics {
  RouteMetrics(Shard& shard, std::string_view route);

  /// `method` is a http::Method.
  template <class Method>
  void request(Method method) const {
    requests_[static_cast<size_t>(method)].add();
  }
  void response(unsigned status, Duration took) const {
    statuses_->add(status);
    duration_->observe(took);
  }

 private:
  std::shared_ptr<Lease> lease_ = std::make_shared<Lease>();
  Counter* requests_;
  StatusCounters* statuses_;
  Histogram* duration_;
};

struct ClusterMetrics {
  ClusterMetrics(Shard& shard, std::string_view cluster);

  /// From an attempt's start to the response's head.
  void attempt(Duration took) const { duration_->observe(took); }
  void retry(RetryReason reason) const { retries_[static_cast<size_t>(reason)].add(); }
  void hedge() const { hedges_->add(); }
  void hedge_won() const { hedges_won_->add(); }

 private:
  std::shared_ptr<Lease> lease_ = std::make_shared<Lease>();
  Histogram* duration_;
  Counter* retries_;
  Counter* hedges_;
  Counter* hedges_won_;
};

struct EndpointMetrics {
  EndpointMetrics(Shard& shard, std::string_view cluster, std::string_view endpoint);

  void connected() const { connections_->add(); }
  void connection_error(ErrorCode code) const { errors_[static_cast<size_t>(code)].add(); }

 private:
  std::shared_ptr<Lease> lease_ = std::make_shared<Lease>();
  Counter* connections_;
  Counter* errors_;
};

/// One policy in one worker; the same cells over all its generations.
class PolicyMetrics {
 public:
  static constexpr size_t kMaxHooks = 8;

  /// `hooks`: names of the hooks in the order of the enumeration that `run` is called with.
  PolicyMetrics(Shard& shard, std::string_view policy, std::span<const std::string_view> hooks);

  template <class Hook>
  void run(Hook hook, Duration cpu) const {
    const OneHook& one = hooks_[static_cast<size_t>(hook)];
    one.runs->add();
    one.cpu->add(cpu);
  }
  /// `code`: ScriptError, ScriptCpu, ScriptMemory or ScriptTime; anything else is an "error".
  template <class Hook>
  void error(Hook hook, ErrorCode code) const {
    hooks_[static_cast<size_t>(hook)].errors[kind_of(code)].add();
  }
  void memory(size_t bytes) const { memory_->set(static_cast<int64_t>(bytes)); }
  void generation(uint64_t number) const { generation_->set(static_cast<int64_t>(number)); }

 private:
  struct OneHook {
    Counter* runs = nullptr;
    Counter* cpu = nullptr;
    Counter* errors = nullptr;
  };
  static size_t kind_of(ErrorCode code);

  std::shared_ptr<Lease> lease_ = std::make_shared<Lease>();
  std::array<OneHook, kMaxHooks> hooks_{};
  Gauge* memory_;
  Gauge* generation_;
};

}  // namespace tidegate::telemetry
