// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <sys/resource.h>

#include <csignal>

#include "config/error.h"
#include "server/commands.h"
#include "telemetry/log.h"
#include "telemetry/process_metrics.h"

namespace tidegate::server {
namespace {

/// Used while no scripts are loaded: there are no policies to find.
class NoFilters final : public proxy::FilterSource {
 public:
  proxy::Filter* find_filter(std::string_view) override { return nullptr; }
  void acquire(proxy::Filter&) override {}
  void give_back(proxy::Filter&) override {}
};

void raise_open_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log::warn("cannot raise the open files limit");
}

telemetry::AccessLogWriter::Target target_of(config::AccessLogTarget target) {
  using Target = telemetry::AccessLogWriter::Target;
  switch (target) {
    case config::AccessLogTarget::Off:
      return Target::Off;
    case config::AccessLogTarget::Stdout:
      return Target::Stdout;
    case config::AccessLogTarget::Stderr:
      return Target::Stderr;
    case config::AccessLogTarget::File:
      break;
  }
  return Target::File;
}

unsigned worker_count(const config::Snapshot& snapshot) {
  if (snapshot.workers > 0) return snapshot.workers;
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

Server::Server(const config::Source& source)
    : source_(source),
      access_log_(registry_.add_shard().counter(telemetry::Family::AccessLogDroppedTotal)),
      rates_(registry_),
      control_(0, control_registry_.add_shard(), nullptr),
      second_([](void* self) { static_cast<Server*>(self)->each_second(); }, this),
      drain_deadline_(
          [](void* self) {
            log::warn("drain_timeout has passed: what still runs is broken off");
            static_cast<Server*>(self)->stop_all();
          },
          this) {
  control_.set_filters(std::make_unique<NoFilters>());
}

Server::~Server() {
  stop_all();
  for (std::thread& thread : threads_) thread.join();
  access_log_.stop();
}

bool Server::configure_log(const config::Log& config) {
  if (const auto level = log::parse_level(config.level)) log::set_level(*level);
  const auto format = config.format == "text" ? log::Format::Text : log::Format::Json;
  log::set_format(format);
  const auto done = access_log_.configure({target_of(config.access), config.access_file, format});
  if (!done) log::error("cannot open the access log", {{"error", done.error()}});
  return done.has_value();
}

bool Server::start(config::Snapshot snapshot) {
  raise_open_files_limit();
  log::start_background();
  if (!configure_log(snapshot.log)) return false;
  telemetry::add_process_metrics(registry_);
  start_workers(snapshot);

  std::vector<std::string> errors;
  auto endpoints = upstream::resolve_endpoints(snapshot, nullptr, nullptr, errors);
  for (const std::string& error : errors) log::error("configuration refused", {{"error", error}});
  if (!errors.empty()) return false;
  auto shared =
      std::make_shared<const proxy::SharedSnapshot>(std::move(snapshot), std::move(endpoints));
  if (!apply(std::move(shared))) return false;
  for (const auto& worker : workers_) {
    threads_.emplace_back([&worker = *worker] { worker.run(); });
  }
  if (!start_admin(snapshot_->config)) return false;
  watch_files();
  control_.loop().timers().arm(second_, std::chrono::seconds(1));
  return true;
}

void Server::start_workers(config::Snapshot& snapshot) {
  const unsigned count = worker_count(snapshot);
  for (unsigned i = 0; i < count; ++i) {
    telemetry::Shard& shard = registry_.add_shard();
    telemetry::AccessLog& log =
        access_log_.add(shard.counter(telemetry::Family::AccessLogDroppedTotal));
    workers_.push_back(std::make_unique<Worker>(i, shard, &log));
    workers_.back()->set_filters(std::make_unique<NoFilters>());
  }
}

bool Server::apply(std::shared_ptr<const proxy::SharedSnapshot> snapshot) {
  auto handovers = listeners_.prepare(snapshot->config, workers_.size());
  if (!handovers) {
    log::error("configuration refused", {{"error", handovers.error()}});
    return false;
  }
  listeners_.commit(snapshot->config);
  snapshot_ = std::move(snapshot);
  for (size_t i = 0; i < workers_.size(); ++i) {
    // A std::function must be copyable, which descriptors are not.
    auto share = std::make_shared<std::vector<ListenerHandover>>(std::move((*handovers)[i]));
    workers_[i]->post([worker = workers_[i].get(), pinned = snapshot_, share] {
      worker->adopt(pinned, std::move(*share));
    });
  }
  for (const Listeners::Bound& bound : listeners_.bound()) {
    log::info("listening", {{"listener", bound.name}, {"address", bound.address}});
  }
  return true;
}

bool Server::start_admin(const config::Snapshot&) { return true; }

void Server::watch_files() {}

void Server::on_files_changed(const std::set<std::string>&) {}

std::vector<std::string> Server::reload() { return {}; }

void Server::each_second() {
  rates_.sample(control_.loop().now());
  control_.loop().timers().arm(second_, std::chrono::seconds(1));
}

int Server::run() {
  const auto on = [this](int signal, auto&& act) {
    signals_.push_back(std::make_unique<net::SignalWatch>(control_.loop(), signal, act));
  };
  on(SIGTERM, [this] { on_terminate(); });
  on(SIGINT, [this] { on_terminate(); });
  on(SIGHUP, [this] { reload(); });
  control_.run();
  return kFine;
}

void Server::on_terminate() {
  if (draining_) {
    log::warn("stopping at once");
    return stop_all();
  }
  draining_ = true;
  log::info("draining", {{"timeout_s", snapshot_->config.drain_timeout.count() / 1'000'000'000}});
  control_.loop().timers().arm(drain_deadline_, snapshot_->config.drain_timeout);
  for (const auto& worker : workers_) {
    worker->post([this, &one = *worker] {
      one.drain([this] { control_.post([this] { on_worker_drained(); }); });
    });
  }
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

int serve(const config::Source& source) {
  auto loaded = source.load();
  if (!loaded) {
    std::fputs(config::to_string(loaded.error()).c_str(), stderr);
    return kWrongUsage;
  }
  int status = kFailed;
  {
    Server server(source);
    if (server.start(std::move(*loaded))) status = server.run();
  }
  log::stop_background();
  return status;
}

std::vector<std::string> check_scripts(const config::Snapshot&) { return {}; }

}  // namespace tidegate::server
