// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "base/intrusive_list.h"
#include "config/snapshot.h"
#include "http/codec.h"
#include "net/event_loop.h"
#include "telemetry/metrics.h"
#include "upstream/connection.h"
#include "upstream/endpoint.h"

namespace tidegate::upstream {

/// Waits for a connection of a pool.
class PoolWaiter : public ListNode<PoolWaiter> {
 public:
  /// Open a stream on it now.
  virtual void on_connection(Connection& connection) = 0;
  virtual void on_connection_failed(ErrorCode code) = 0;

 protected:
  ~PoolWaiter() = default;
};

/// The connections to one endpoint in one worker: idle ones for reuse, the newest first; new ones as
/// needed, up to a cap; and those who wait for one, in order.
class Pool {
 public:
  struct Settings {
    Duration connect_timeout{};
    config::Pool pool;
    bool operator==(const Settings& other) const;
  };

  struct Cells {
    telemetry::EndpointMetrics endpoint;
    telemetry::Gauge& connections_active;
  };

  Pool(net::EventLoop& loop, std::shared_ptr<Endpoint> endpoint, Settings settings, Cells cells);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Endpoint& endpoint() { return *endpoint_; }
  const Settings& settings() const { return settings_; }
  const http::Limits& limits() const { return limits_; }
  void configure(Settings settings) { settings_ = settings; }

  /// An idle connection, ready to open a stream on; nullptr: `wait`.
  Connection* take();
  /// Queues `waiter` and opens a connection where the cap allows. Another code than None: refused,
  /// and the waiter is not queued. The waiter is never called from inside.
  ErrorCode wait(PoolWaiter& waiter);
  void cancel(PoolWaiter& waiter);
  bool empty() const { return total_ == 0 && waiting_ == 0; }
  size_t total() const { return total_; }

  // ---- for its connections ----
  bool may_reuse(uint64_t streams) const;
  void connection_idle(Connection& connection);
  void connect_failed(Connection& connection, ErrorCode code);
  void connection_closed(Connection& connection);

 private:
  bool open_connection();
  void serve_waiters();
  void drop(Connection& connection);

  net::EventLoop& loop_;
  std::shared_ptr<Endpoint> endpoint_;
  Settings settings_;
  Cells cells_;
  http::Limits limits_;
  List<Connection> idle_;  // newest at the back
  List<Connection> busy_;  // connecting or carrying a stream
  List<PoolWaiter> waiters_;
  size_t total_ = 0;
  size_t connecting_ = 0;
  size_t waiting_ = 0;
};

}  // namespace tidegate::upstream
