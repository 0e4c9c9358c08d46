// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/load.h"
#include "net/file_watch.h"
#include "net/signal_watch.h"
#include "server/listeners.h"
#include "server/worker.h"
#include "telemetry/access_log_writer.h"
#include "telemetry/rate_window.h"
#include "telemetry/registry.h"

namespace tidegate::server {

/// The whole proxy of one process, and the only place that knows all its parts. Lives in the control
/// thread, which also serves the admin address; the workers have threads of their own.
class Server {
 public:
  explicit Server(const config::Source& source);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Brings everything up. False: it has been said why.
  bool start(config::Snapshot snapshot);
  /// Serves until drained or stopped; the exit status.
  int run();

 private:
  void start_workers(config::Snapshot& snapshot);
  bool start_admin(const config::Snapshot& snapshot);
  bool apply(std::shared_ptr<const proxy::SharedSnapshot> snapshot);
  void watch_files();
  void on_files_changed(const std::set<std::string>& changed);
  /// What of the configuration is wrong, one message each; empty: it is in use.
  std::vector<std::string> reload();
  void on_terminate();
  void on_worker_drained();
  void stop_all();
  bool configure_log(const config::Log& log);
  void each_second();

  config::Source source_;
  telemetry::Registry registry_;
  telemetry::Registry control_registry_;  // the admin listener's own traffic is nobody's metric
  telemetry::AccessLogWriter access_log_;
  telemetry::RateWindow rates_;
  std::shared_ptr<const proxy::SharedSnapshot> snapshot_;
  Listeners listeners_;
  Listeners admin_listeners_;
  Worker control_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::vector<std::unique_ptr<net::SignalWatch>> signals_;
  std::unique_ptr<net::FileWatch> files_;
  Timer second_;
  Timer drain_deadline_;
  size_t drained_ = 0;
  bool draining_ = false;
  bool stopped_ = false;
};

}  // namespace tidegate::server
