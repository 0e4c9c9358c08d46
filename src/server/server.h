// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "admin/admin_api.h"
#include "config/load.h"
#include "net/address_offer.h"
#include "net/file_watch.h"
#include "net/signal_watch.h"
#include "net/tls_ticket_keys.h"
#include "script/scripts.h"
#include "script/watchdog.h"
#include "script/worker_scripts.h"
#include "server/countdown.h"
#include "server/listeners.h"
#include "server/memory_guard.h"
#include "server/worker.h"
#include "telemetry/access_log_writer.h"
#include "telemetry/rate_window.h"
#include "telemetry/registry.h"
#include "upstream/discovery.h"
#include "upstream/drained_endpoints.h"
#include "upstream/health_checks.h"

namespace tidegate::server {

/// The whole proxy of one process, and the only place that knows all its parts. Lives in the
/// control thread, which also serves the admin address; the workers have threads of their own.
class Server {
 public:
  /// `metrics_grace`: how long metric series outlive what they are of.
  explicit Server(const config::Source& source,
                  Duration metrics_grace = telemetry::Registry::kGrace);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Brings everything up. False: it has been said why.
  bool start(config::Snapshot snapshot);
  /// Serves until drained or stopped; the exit status.
  int run();

 private:
  static constexpr const char* kDraining = "the proxy is draining";
  void watch_signals();
  /// At most one reload waits, however often it is asked for.
  void reload_soon();
  void reload_if_due();
  void start_workers(const config::Snapshot& snapshot);
  /// Opens the admin address; what it gives begins to serve there.
  Fallible<std::function<void()>> open_admin(const config::Admin& admin);
  admin::Sources admin_sources(const config::Address& bound);
  /// Resolves names, opens listeners, hands all to the workers; what is wrong, or nothing.
  std::vector<std::string> apply(config::Snapshot snapshot);
  void hand_out(Listeners::Handovers handovers);
  /// Waits, before serving, for what DNS says; no longer than a moment.
  void wait_for_discovery();
  /// All workers use these endpoints for attempts to come.
  void set_endpoints(const std::string& cluster, std::vector<upstream::EndpointSpec> specs);
  /// The same for several at once, by index in the configuration.
  using SpecsByCluster = std::map<size_t, std::vector<upstream::EndpointSpec>>;
  void set_endpoints(SpecsByCluster changes);
  /// The same, by a script's wish.
  void set_script_endpoints(const std::string& cluster, std::vector<config::Endpoint> endpoints);
  /// The endpoints that are connected to by these names have other addresses.
  void on_names(const std::set<std::string>& names);
  void forget_unused_names();
  void spare_descriptors();
  void keep_script_endpoints(const config::Snapshot& snapshot, upstream::EndpointSet& to);
  void wait_for_workers(Countdown& adopted);
  void watch_files();
  /// Some script or TLS file has changed on disk.
  void on_files_changed(const std::set<std::string>& changed);
  void reload_scripts();
  static script::WorkerScripts& scripts_of(Worker& worker);
  static void warn_of_doubts(const proxy::SharedSnapshot& snapshot);
  /// The TLS files anew, with the configuration in use; what is wrong leaves the old ones in use.
  void reload_certificates();
  proxy::TlsContexts load_contexts(const config::Snapshot& config,
                                   std::vector<std::string>& errors) const;
  std::vector<std::string> reload_policy(const std::string& policy);
  /// All workers use the current generations for exchanges to come.
  void adopt_generations();
  void update_health_checks();
  void report_policies();
  std::vector<admin::PolicyState> policy_states() const;
  /// What of the configuration is wrong, one message each; empty: it is in use.
  std::vector<std::string> reload();
  /// Accepts nothing new and ends when what runs has ended. From here on no configuration, script,
  /// certificate or set of endpoints changes any more.
  void drain();
  void offer_admin();
  void on_terminate();
  void on_worker_drained();
  void stop_all();
  using PreparedLog = Fallible<telemetry::AccessLogWriter::Prepared>;
  /// Opens what is to be the access log; an error: it cannot be.
  static PreparedLog prepare_log(const config::Log& log);
  void use_log(const config::Log& log, telemetry::AccessLogWriter::Prepared access_log);
  void each_second();

  config::Source source_;
  telemetry::Registry registry_;
  telemetry::Registry control_registry_;  // the admin listener's own traffic is nobody's metric
  telemetry::Shard& cells_;               // what the control thread counts
  telemetry::AccessLogWriter access_log_;
  telemetry::RateWindow rates_;
  script::Watchdog watchdog_;
  script::Scripts scripts_;
  struct Reported {
    uint64_t generation = 0;
    std::string error;
    telemetry::Lease lease;  // of its counters
  };
  std::map<std::string, Reported> reported_;  // by policy
  std::shared_ptr<const proxy::SharedSnapshot> snapshot_;
  /// Earlier ones until no worker uses them: a large one takes milliseconds to destroy, which are
  /// this thread's and not those of requests.
  std::vector<std::shared_ptr<const proxy::SharedSnapshot>> retired_;
  std::shared_ptr<net::TlsTicketKeys> ticket_keys_;
  Listeners listeners_;
  Listeners admin_listeners_;
  std::unique_ptr<admin::AdminApi> admin_;
  Worker control_;
  std::unique_ptr<net::AddressOffer> admin_offer_;  // while draining
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  upstream::Names names_;
  upstream::Discovery discovery_;
  upstream::HealthChecks health_checks_;
  upstream::DrainedEndpoints drained_endpoints_;
  std::string configured_level_;     // of the operational log
  std::set<std::string> by_script_;  // clusters whose endpoints a script has set
  std::vector<std::unique_ptr<net::SignalWatch>> signals_;
  std::unique_ptr<net::FileWatch> files_;
  proxy::Overload overload_;
  MemoryGuard memory_;
  Timer second_;
  Timer drain_deadline_;
  std::atomic<size_t> listening_{0};  // workers that accept
  size_t drained_ = 0;
  bool reload_due_ = false;
  bool names_in_doubt_ = false;        // some may be of no endpoint any more
  bool certificates_refused_ = false;  // those on disk
  bool draining_ = false;
  bool stopped_ = false;
};

}  // namespace tidegate::server
