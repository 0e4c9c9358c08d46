// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <algorithm>
#include <csignal>

#include "admin/admin_handler.h"
#include "admin/gauges.h"
#include "base/strings.h"
#include "config/error.h"
#include "server/commands.h"
#include "server/process.h"
#include "telemetry/log.h"
#include "telemetry/process_metrics.h"
#include "upstream/resolution.h"

namespace tidegate::server {
namespace {

/// Of the control thread, whose one route has no policies.
class NoFilters final : public proxy::FilterSource {
 public:
  proxy::Filter* find_filter(std::string_view) override { return nullptr; }
  void acquire(proxy::Filter&) override {}
  void give_back(proxy::Filter&) override {}
};

unsigned worker_count(const config::Snapshot& snapshot) {
  if (snapshot.workers > 0) return snapshot.workers;
  return std::max(1u, std::thread::hardware_concurrency());
}

script::ScriptsOptions script_options() {
  return {{TIDEGATE_SCRIPTS_DIR}};
}

// A worker's turn takes milliseconds; one that takes longer than this is in trouble already.
constexpr auto kAdoptWithin = std::chrono::seconds(2);
// Longer than name servers take that answer at all.
constexpr auto kDiscoverWithin = std::chrono::seconds(5);
// How long a reload waits for names that are new. Nothing else waits for them.
constexpr auto kNamesWithin = std::chrono::milliseconds(100);

/// Some settings hold for the life of the process.
void warn_of_fixed_settings(const config::Snapshot& before, const config::Snapshot& after) {
  if (before.workers != after.workers) log::warn("a change of workers needs a restart");
  if (before.admin.address != after.admin.address) {
    log::warn("a change of admin.address needs a restart");
  }
}

// How long a process that drains has to close the admin address, which takes it a turn.
constexpr auto kGiveUpWithin = std::chrono::milliseconds(1000);
constexpr int kGiveUpTries = 200;

// What this process and its successor call the admin address.
std::string offer_of(const config::Address& address) {
  return address.is_unix ? address.to_string() : "port " + std::to_string(address.port);
}
std::string offer_of(const net::SocketAddress& address) {
  return address.is_unix() ? address.to_string() : "port " + std::to_string(address.port());
}

/// One listener and one route. Whoever asks slowly, or does not take the answer, makes way soon,
/// and never has all descriptors.
config::Snapshot admin_snapshot(const config::Address& address) {
  config::Snapshot snapshot;
  config::Listener& listener = snapshot.listeners.emplace_back();
  listener.name = "admin";
  listener.address = address;
  listener.max_connections = 32;
  listener.http2.max_concurrent_streams = 4;
  listener.head_timeout = listener.body_timeout = std::chrono::seconds(5);
  listener.idle_timeout = std::chrono::seconds(15);
  config::Route& route = snapshot.routes.emplace_back();
  route.name = "admin";
  route.max_body = 64 * 1024;
  route.idle_timeout = std::chrono::seconds(10);
  route.exchange_timeout = std::chrono::seconds(60);
  return snapshot;
}

}  // namespace

Server::Server(const config::Source& source, Duration metrics_grace)
    : source_(source),
      registry_(telemetry::Registry::kMaxLabelSets, telemetry::Registry::steady_now, metrics_grace),
      cells_(registry_.add_shard()),
      access_log_(registry_.add_shard().counter(telemetry::Family::AccessLogDroppedTotal)),
      rates_(registry_),
      scripts_(watchdog_, script_options()),
      ticket_keys_(std::make_shared<net::TlsTicketKeys>(std::chrono::steady_clock::now())),
      control_(0, control_registry_.add_shard(), nullptr,
               [] { return std::make_unique<NoFilters>(); }),
      names_(control_.loop(), [this](const std::set<std::string>& names) { on_names(names); }),
      discovery_(control_.loop(), cells_, source.environment(), names_,
                 [this](const std::string& cluster, std::vector<upstream::EndpointSpec> specs) {
                   set_endpoints(cluster, std::move(specs));
                 }),
      health_checks_(control_.loop(), cells_, control_.context().shard),
      memory_(control_.loop(), overload_),
      second_([](void* self) { static_cast<Server*>(self)->each_second(); }, this),
      drain_deadline_(
          [](void* self) {
            log::warn("drain_timeout has passed: what still runs is broken off");
            static_cast<Server*>(self)->stop_all();
          },
          this) {}

Server::~Server() {
  stop_all();
  for (std::thread& thread : threads_) thread.join();
  access_log_.stop();
}

// Descriptors are the process's, and those that can be spared the workers'.
void Server::spare_descriptors() {
  for (const auto& worker : workers_) {
    worker->post([&one = *worker] { one.close_idle_connection(); });
  }
}

void Server::watch_signals() {
  // What comes while the last objects go must not kill the process: so it is, when the watches go.
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT}) ::signal(signal, SIG_IGN);
  const auto on = [this](int signal, auto&& act) {
    signals_.push_back(std::make_unique<net::SignalWatch>(control_.loop(), signal, act));
  };
  on(SIGTERM, [this] { on_terminate(); });
  on(SIGINT, [this] { on_terminate(); });
  on(SIGQUIT, [this] { on_terminate(); });
  on(SIGHUP, [this] { reload_soon(); });
  on(SIGUSR1, [this] {
    access_log_.reopen();
    log::info("log files opened anew");
  });
  on(SIGUSR2, [] { log::warn("signal ignored", {{"signal", "SIGUSR2"}}); });
  release_signals();
}

// Reloading takes its time, in which further signals come: the last of them stands for all, and one
// that ends the process goes first.
void Server::reload_soon() {
  if (std::exchange(reload_due_, true) || threads_.empty()) return;
  control_.post([this] { reload_if_due(); });
}

void Server::reload_if_due() {
  if (std::exchange(reload_due_, false)) reload();
}

bool Server::start(config::Snapshot snapshot) {
  watch_signals();
  log::start_background();
  raise_open_files_limit();
  auto access_log = prepare_log(snapshot.log);
  if (!access_log) {
    log::error("cannot start", {{"error", access_log.error()}});
    return false;
  }
  use_log(snapshot.log, std::move(*access_log));
  telemetry::add_process_metrics(registry_);
  start_workers(snapshot);
  health_checks_.when_exhausted([this] { spare_descriptors(); });
  // First, so that health checks and connections find its socket in place.
  const auto serve_admin = open_admin(snapshot.admin);
  const std::vector<std::string> errors =
      serve_admin ? apply(std::move(snapshot)) : std::vector{serve_admin.error()};
  for (const std::string& error : errors) log::error("cannot start", {{"error", error}});
  if (!errors.empty()) return false;
  wait_for_discovery();
  (*serve_admin)();
  for (const auto& worker : workers_) {
    threads_.emplace_back([&one = *worker] { one.run(); });
  }
  watch_files();
  // What was written between loading and watching.
  reload_certificates();
  reload_scripts();
  control_.loop().timers().arm(second_, std::chrono::seconds(1));
  reload_if_due();
  return true;
}

void Server::start_workers(const config::Snapshot& snapshot) {
  const unsigned count = worker_count(snapshot);
  for (unsigned i = 0; i < count; ++i) {
    telemetry::Shard& shard = registry_.add_shard();
    telemetry::AccessLog& log =
        access_log_.add(shard.counter(telemetry::Family::AccessLogDroppedTotal));
    workers_.push_back(std::make_unique<Worker>(i, shard, &log, [this, &shard, i] {
      return std::make_unique<script::WorkerScripts>(watchdog_, workers_[i]->loop(), shard, i);
    }));
    workers_.back()->context().set_endpoints = [this](const std::string& cluster,
                                                      std::vector<config::Endpoint> endpoints) {
      control_.post([this, cluster, endpoints = std::move(endpoints)] {
        set_script_endpoints(cluster, endpoints);
      });
    };
    workers_.back()->context().overload = &overload_;
    workers_.back()->context().check_health = [this](const std::string& cluster) {
      control_.post([this, cluster] { health_checks_.check_now(cluster); });
    };
  }
}

std::vector<std::string> Server::apply(config::Snapshot snapshot) {
  std::vector<std::string> errors;
  names_in_doubt_ = true;  // those of what goes, or of this if it is refused
  upstream::ask_for_names(snapshot, names_);
  if (!threads_.empty()) names_.settle_within(kNamesWithin);
  auto endpoints =
      upstream::resolve_endpoints(snapshot, snapshot_ == nullptr ? nullptr : &snapshot_->config,
                                  snapshot_ == nullptr ? nullptr : &snapshot_->endpoints, names_);
  proxy::TlsContexts contexts = load_contexts(snapshot, errors);
  if (!errors.empty()) return errors;
  certificates_refused_ = false;
  keep_script_endpoints(snapshot, endpoints);
  auto shared = std::make_shared<const proxy::SharedSnapshot>(
      std::move(snapshot), std::move(endpoints), snapshot_.get(), std::move(contexts));
  auto handovers = listeners_.prepare(shared->config, workers_.size());
  if (!handovers) return {handovers.error()};
  errors = scripts_.load(shared->config);
  if (!errors.empty()) {
    listeners_.discard();
    report_policies();
    return errors;
  }
  if (const auto follows = discovery_.follow(shared->config); !follows) {
    listeners_.discard();
    return {follows.error()};
  }
  listeners_.commit(shared->config);
  drained_endpoints_.update(snapshot_ == nullptr ? nullptr : &snapshot_->config,
                            snapshot_ == nullptr ? nullptr : &snapshot_->endpoints, shared->config,
                            shared->endpoints, control_.loop().now());
  if (snapshot_ != nullptr) retired_.push_back(std::move(snapshot_));
  snapshot_ = std::move(shared);
  memory_.limit(snapshot_->config.max_memory);
  warn_of_doubts(*snapshot_);
  update_health_checks();
  hand_out(std::move(*handovers));
  report_policies();
  for (const Listeners::Bound& bound : listeners_.bound()) {
    log::info("listening", {{"listener", bound.name}, {"address", bound.address}});
  }
  return {};
}

void Server::update_health_checks() {
  health_checks_.update(snapshot_->config, snapshot_->endpoints,
                        [this](size_t cluster, const upstream::Endpoint& endpoint) {
                          return proxy::pool_settings(*snapshot_, cluster, endpoint);
                        });
}

void Server::hand_out(Listeners::Handovers handovers) {
  const bool first = threads_.empty();
  const auto adopted = std::make_shared<Countdown>(workers_.size());
  for (size_t i = 0; i < workers_.size(); ++i) {
    // A std::function must be copyable, which descriptors are not.
    auto share = std::make_shared<std::vector<ListenerHandover>>(std::move(handovers[i]));
    workers_[i]->post([this, &worker = *workers_[i], pinned = snapshot_, share, first, adopted,
                       generations = scripts_.current()] {
      const auto take_over = [this, &worker, pinned, share, first, adopted] {
        // A drain that began meanwhile has closed the listeners.
        if (!worker.context().draining) worker.adopt(pinned, std::move(*share));
        if (first) ++listening_;
        adopted->arrive();
      };
      script::WorkerScripts& scripts = scripts_of(worker);
      if (!first) return scripts.adopt_in_turns(generations, take_over);
      scripts.on_replaced = [&worker] { worker.routes()->refresh_chains(); };
      scripts.adopt(*generations);
      take_over();
    });
  }
  if (!first) wait_for_workers(*adopted);
}

// So that what is reported as loaded is what the next request meets.
void Server::wait_for_workers(Countdown& adopted) {
  if (!adopted.wait_for(kAdoptWithin)) log::warn("some worker is slow to take the change over");
}

void Server::wait_for_discovery() {
  bool late = false;
  Timer limit([](void* flag) { *static_cast<bool*>(flag) = true; }, &late);
  control_.loop().timers().arm(limit, kDiscoverWithin);
  const auto settled = [this] { return discovery_.settled() && names_.settled(); };
  while (!settled() && !late && !draining_) control_.loop().turn();
  if (late) log::warn("DNS is slow: serving begins with the endpoints that are known");
}

Fallible<std::function<void()>> Server::open_admin(const config::Admin& config) {
  if (!config.address) return [] {};
  auto shared = std::make_shared<const proxy::SharedSnapshot>(admin_snapshot(*config.address),
                                                              upstream::EndpointSet());
  auto handovers = admin_listeners_.prepare(shared->config, 1);
  if (!handovers && net::ask_for_address(offer_of(*config.address))) {
    // Whoever drains closes it at the end of a turn.
    for (int i = 0; i < kGiveUpTries && !handovers; ++i) {
      std::this_thread::sleep_for(kGiveUpWithin / kGiveUpTries);
      handovers = admin_listeners_.prepare(shared->config, 1);
    }
    if (handovers) log::info("admin address taken over from a process that drains");
  }
  if (!handovers) return tl::unexpected(handovers.error());
  admin_listeners_.commit(shared->config);
  if (!config.address->is_unix) {
    listeners_.keep_off("the admin address", admin_listeners_.only_address());
  }
  // A std::function must be copyable, which descriptors are not.
  auto share = std::make_shared<std::vector<ListenerHandover>>(std::move(handovers->front()));
  share->front().uses_reserve = true;
  return [this, shared, share, bound = *config.address] {
    admin::add_gauges(
        registry_, [this] { return snapshot_; }, workers_.size());
    admin_ = std::make_unique<admin::AdminApi>(admin_sources(bound));
    control_.adopt(shared, std::move(*share));
    control_.routes()->replace_handler(0, std::make_unique<admin::AdminHandler>(*admin_));
    log::info("listening",
              {{"listener", "admin"}, {"address", admin_listeners_.bound().front().address}});
  };
}

admin::Sources Server::admin_sources(const config::Address& bound) {
  admin::Sources sources{
      .registry = registry_,
      .rates = rates_,
      .snapshot = [this] { return snapshot_; },
      .server =
          [this] {
            admin::ServerState state;
            state.listening = listening_ == workers_.size();
            state.draining = draining_;
            state.out_of_memory = overload_.refuse_connections;
            state.workers = workers_.size();
            for (const auto& listener : listeners_.bound()) {
              state.listeners.push_back({listener.name, listener.address});
            }
            return state;
          },
      .policies = [this] { return policy_states(); },
      .reload = [this] { return reload(); },
      .reload_policy = [this](const std::string& policy) { return reload_policy(policy); },
      .drain = [this] { drain(); },
      .bound = bound,
  };
  if (net::EventLoop::kMeasuresTurns) {
    sources.longest_turns = [this] {
      std::vector<Duration> turns;
      for (const auto& worker : workers_) turns.push_back(worker->loop().take_longest_turn());
      return turns;
    };
  }
  return sources;
}

std::vector<std::string> Server::reload() {
  if (draining_) {
    log::warn("reload ignored: the proxy is draining");
    return {kDraining};
  }
  auto loaded = source_.load();
  std::vector<std::string> errors;
  if (!loaded) {
    for (const config::Error& error : loaded.error()) errors.push_back(error.to_string());
  } else {
    warn_of_fixed_settings(snapshot_->config, *loaded);
    names_.renew(upstream::names_of(snapshot_->endpoints));
    const config::Log log_settings = loaded->log;
    auto access_log = prepare_log(log_settings);
    errors = access_log ? apply(std::move(*loaded)) : std::vector{access_log.error()};
    if (errors.empty()) use_log(log_settings, std::move(*access_log));
  }
  for (const std::string& error : errors) log::error("reload refused", {{"error", error}});
  cells_.counter(telemetry::Family::ConfigReloadsTotal, {errors.empty() ? "loaded" : "refused"})
      .add();
  if (errors.empty()) log::info("configuration loaded", {{"source", snapshot_->config.source}});
  watch_files();
  access_log_.reopen();
  return errors;
}

void Server::each_second() {
  rates_.sample(control_.loop().now());
  registry_.sweep();
  forget_unused_names();
  ticket_keys_->rotate(control_.loop().now());
  std::erase_if(retired_, [](const auto& snapshot) { return snapshot.use_count() == 1; });
  control_.loop().timers().arm(second_, std::chrono::seconds(1));
}

int Server::run() {
  control_.run();
  return kFine;
}

void Server::on_terminate() {
  if (draining_) {
    log::warn("stopping at once");
    return stop_all();
  }
  drain();
}

void Server::drain() {
  if (std::exchange(draining_, true)) return;
  const auto limit = snapshot_->config.drain_timeout;
  // Workers that drain have no listeners to hand over to, and what runs ends as it began.
  files_.reset();
  discovery_.stop();
  offer_admin();
  log::info("draining", {{"timeout_ms", limit / std::chrono::milliseconds(1)}});
  control_.loop().timers().arm(drain_deadline_, limit);
  for (const auto& worker : workers_) {
    worker->post([this, &one = *worker] {
      one.drain([this] { control_.post([this] { on_worker_drained(); }); });
    });
  }
}

// Until a successor asks, metrics and readiness are to be seen here.
void Server::offer_admin() {
  if (admin_ == nullptr) return;
  const std::string offer = offer_of(admin_listeners_.only_address());
  admin_offer_ = std::make_unique<net::AddressOffer>(control_.loop(), offer, [this] {
    admin_offer_.reset();
    log::info("admin address given up to a successor");
    control_.drain([] {});
    admin_listeners_.close();
  });
}

void Server::on_worker_drained() {
  if (++drained_ < workers_.size()) return;
  log::info("drained");
  stop_all();
}

void Server::stop_all() {
  if (std::exchange(stopped_, true)) return;
  for (const auto& worker : workers_) {
    worker->post([&one = *worker] { one.stop(); });
  }
  control_.stop();
}

// Loops and threads are made in constructors, which can say only by an exception that the system
// has no descriptor or thread for them.
/// Tests cannot wait for minutes: builds for them take another grace from the environment.
static Duration metrics_grace([[maybe_unused]] const config::Source& source) {
#ifndef NDEBUG
  const auto given = source.environment()("TIDEGATE_TEST_METRICS_GRACE_SECONDS");
  if (const auto seconds = parse_decimal(given.value_or(""), 3600)) {
    return std::chrono::seconds(*seconds);
  }
#endif
  return telemetry::Registry::kGrace;
}

static bool start_server(std::unique_ptr<Server>& server, const config::Source& source,
                         config::Snapshot snapshot) {
  try {
    server = std::make_unique<Server>(source, metrics_grace(source));
    return server->start(std::move(snapshot));
  } catch (const std::exception& error) {
    log::error("cannot start", {{"error", error.what()}});
    return false;
  }
}

int serve(const config::Source& source) {
  prepare_process();
  auto loaded = source.load();
  if (!loaded) {
    std::fputs(config::to_string(loaded.error()).c_str(), stderr);
    return kWrongUsage;
  }
  int status = kFailed;
  {
    std::unique_ptr<Server> server;
    if (start_server(server, source, std::move(*loaded))) status = server->run();
  }
  log::stop_background();
  return status;
}

std::vector<std::string> check_scripts(const config::Snapshot& snapshot) {
  return script::check(snapshot, script_options());
}

}  // namespace tidegate::server
