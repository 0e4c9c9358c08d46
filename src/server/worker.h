// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/event_loop.h"
#include "net/listener_socket.h"
#include "proxy/context.h"
#include "proxy/downstream_connection.h"
#include "proxy/filter.h"
#include "proxy/route_table.h"
#include "upstream/pools.h"

namespace tidegate::server {

class Worker;

/// A listener as the server hands it to one worker.
struct ListenerHandover {
  size_t index;     // in the snapshot's listeners
  std::string key;  // the same over reloads for the same socket
  net::OwnedFd fd;  // none: the worker has it already
  uint16_t port;
  std::shared_ptr<std::atomic<uint32_t>> connections;
  bool uses_reserve = false;  // of descriptors: the admin address
};

/// One listener of one worker: accepts, and counts against the listener's limit.
class WorkerListener final : private net::ListenerSocket::Handler {
 public:
  WorkerListener(Worker& worker, ListenerHandover given, proxy::ListenerRuntime* runtime);
  ~WorkerListener();

  const std::string& key() const { return key_; }
  void use(proxy::ListenerRuntime* runtime);
  void accept_rest() { socket_.accept_rest(); }

 private:
  void on_accept(net::OwnedFd fd, const net::SocketAddress& peer) override;
  void on_accept_exhausted() override;

  Worker& worker_;
  std::string key_;
  proxy::ListenerRuntime* runtime_;
  net::ListenerSocket socket_;
};

/// One thread's share of the proxy: its loop, listeners, connections, pools and route table. Built
/// by the server; after `run` has begun, only its own thread touches it, but for `post`.
class Worker {
 public:
  /// Gives the worker's filters; called in its thread, where they live and die.
  using MakeFilters = std::function<std::unique_ptr<proxy::FilterSource>()>;

  Worker(unsigned index, telemetry::Shard& shard, telemetry::AccessLog* access_log,
         MakeFilters make_filters);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  net::EventLoop& loop() { return loop_; }
  proxy::WorkerContext& context() { return context_; }
  void post(std::function<void()> task) { loop_.post(std::move(task)); }
  proxy::RouteTable* routes() { return context_.routes; }

  proxy::FilterSource& filters();
  /// Of its pools: some descriptor is wanted elsewhere.
  void close_idle_connection() { pools_.close_idle(); }

  /// New exchanges use `snapshot` from now on, new connections the given listeners; listeners that
  /// are not among them close. Exchanges under way keep what they began with. A worker that drains
  /// changes nothing any more.
  void adopt(std::shared_ptr<const proxy::SharedSnapshot> snapshot,
             std::vector<ListenerHandover> listeners);

  /// Runs the loop until `stop`, then breaks off what is left.
  void run();
  /// Accept nothing new, finish what runs. `on_drained` is called in this thread when all is done.
  void drain(std::function<void()> on_drained);
  /// Ends at once.
  void stop();

 private:
  friend class WorkerListener;
  void accept(proxy::ListenerRuntime& listener, net::OwnedFd fd, const net::SocketAddress& peer);
  void check_drained();
  void tear_down();
  void drop_retired();

  const MakeFilters make_filters_;
  net::EventLoop loop_;
  proxy::WorkerContext context_;
  std::vector<proxy::RouteTable*> retired_;  // no new exchange uses them
  upstream::Pools pools_;
  std::unique_ptr<proxy::FilterSource> filters_;
  std::vector<std::unique_ptr<WorkerListener>> listeners_;
  List<proxy::DownstreamConnection> connections_;
  std::function<void()> on_drained_;
  Timer drain_check_;
};

}  // namespace tidegate::server
