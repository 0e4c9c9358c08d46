// SPDX-License-Identifier: Apache-2.0
// The server's files that change while it runs: scripts and certificates.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "config/outbound_proxy.h"
#include "net/descriptors.h"
#include "net/name_resolver.h"
#include "server/commands.h"
#include "server/name_check.h"
#include "server/server.h"
#include "server/target_check.h"
#include "telemetry/log.h"

namespace tidegate::server {
namespace {

// Longer than name servers take that answer at all.
constexpr auto kNamesWithin = std::chrono::seconds(5);

int64_t unix_now() {
  return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
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

log::Format format_of(const config::Log& config) {
  return config.format == "text" ? log::Format::Text : log::Format::Json;
}

}  // namespace

Server::PreparedLog Server::prepare_log(const config::Log& config) {
  return telemetry::AccessLogWriter::prepare(
             {target_of(config.access), config.access_file, format_of(config)})
      .map_error([](const std::string& why) { return "the access log: " + why; });
}

void Server::use_log(const config::Log& config, telemetry::AccessLogWriter::Prepared access_log) {
  // A level that was set by the admin address holds until the configuration says another.
  if (std::exchange(configured_level_, config.level) != config.level) {
    if (const auto level = log::parse_level(config.level)) log::set_level(*level);
  }
  log::set_format(format_of(config));
  access_log_.use(std::move(access_log));
}

void Server::watch_files() {
  if (draining_) return;
  if (files_ == nullptr) {
    files_ = std::make_unique<net::FileWatch>(
        control_.loop(),
        [this](const std::set<std::string>& changed) { on_files_changed(changed); });
  }
  std::vector<std::string> files = scripts_.files();
  const std::vector<std::string> tls = proxy::tls_files(snapshot_->config);
  files.insert(files.end(), tls.begin(), tls.end());
  if (!files_->watch(files)) {
    log::warn("some folder cannot be watched: reload by SIGHUP or the admin address");
  }
}

void Server::on_files_changed(const std::set<std::string>& changed) {
  if (draining_) return;
  const std::vector<std::string> tls = proxy::tls_files(snapshot_->config);
  const auto is_changed = [&](const std::string& file) { return changed.contains(file); };
  if (std::ranges::any_of(tls, is_changed)) reload_certificates();
  reload_scripts();
}

proxy::TlsContexts Server::load_contexts(const config::Snapshot& config,
                                         std::vector<std::string>& errors) const {
  return proxy::load_tls(config, snapshot_ == nullptr ? nullptr : &snapshot_->tls, ticket_keys_,
                         errors);
}

void Server::reload_certificates() {
  if (draining_) return;
  std::vector<std::string> errors;
  proxy::TlsContexts contexts = load_contexts(snapshot_->config, errors);
  const bool changed = contexts != snapshot_->tls;
  auto handovers = changed ? listeners_.prepare(snapshot_->config, workers_.size())
                           : Fallible<Listeners::Handovers>();
  if (!handovers) errors.push_back(handovers.error());
  for (const std::string& error : errors) {
    log::error("certificates refused: the old ones stay in use", {{"error", error}});
  }
  const auto count = [this](const char* result) {
    cells_.counter(telemetry::Family::TlsReloadsTotal, {result}).add();
  };
  if (!errors.empty()) count("refused");
  if (std::exchange(certificates_refused_, !errors.empty()) && errors.empty() && !changed) {
    log::info("certificates on disk are those in use again");
  }
  if (!changed || !handovers) return;
  count("loaded");
  listeners_.commit(snapshot_->config);
  snapshot_ = std::make_shared<const proxy::SharedSnapshot>(*snapshot_, std::move(contexts));
  warn_of_doubts(*snapshot_);
  update_health_checks();
  hand_out(std::move(*handovers));
  log::info("certificates loaded");
}

void Server::reload_scripts() {
  if (draining_) return;
  bool changed = false;
  scripts_.reload_changed(changed);
  if (changed) adopt_generations();
  report_policies();
  watch_files();
}

std::vector<std::string> Server::reload_policy(const std::string& policy) {
  if (draining_) return {kDraining};
  std::vector<std::string> errors = scripts_.reload(policy);
  if (errors.empty()) adopt_generations();
  report_policies();
  watch_files();
  return errors;
}

void Server::adopt_generations() {
  const auto adopted = std::make_shared<Countdown>(workers_.size());
  for (const auto& worker : workers_) {
    worker->post([&one = *worker, adopted, generations = scripts_.current()] {
      scripts_of(one).adopt_in_turns(generations, [&one, adopted] {
        if (one.routes() != nullptr) one.routes()->refresh_chains();
        adopted->arrive();
      });
    });
  }
  wait_for_workers(*adopted);
}

void Server::report_policies() {
  const std::vector<script::PolicyStatus> policies = scripts_.status();
  std::erase_if(reported_, [&policies](const auto& one) {
    return std::ranges::find(policies, one.first, &script::PolicyStatus::policy) == policies.end();
  });
  for (const script::PolicyStatus& status : policies) {
    auto& [generation, error, lease] = reported_[status.policy];
    if (status.generation != generation) {
      log::info("policy loaded", {{"policy", status.policy},
                                  {"script", status.script},
                                  {"generation", status.generation}});
      cells_.counter(telemetry::Family::ScriptReloadsTotal, {status.policy, "loaded"}, &lease)
          .add();
    }
    if (!status.last_error.empty() && status.last_error != error) {
      log::error("policy refused", {{"policy", status.policy},
                                    {"serving_generation", status.generation},
                                    {"error", status.last_error}});
      cells_.counter(telemetry::Family::ScriptReloadsTotal, {status.policy, "refused"}, &lease)
          .add();
    }
    if (status.last_error.empty() && !error.empty() && status.generation == generation) {
      log::info("policy on disk is the one in use again",
                {{"policy", status.policy}, {"serving_generation", generation}});
    }
    generation = status.generation;
    error = status.last_error;
  }
}

std::vector<admin::PolicyState> Server::policy_states() const {
  std::vector<admin::PolicyState> states;
  for (const script::PolicyStatus& status : scripts_.status()) {
    admin::PolicyState& state = states.emplace_back();
    state.name = status.policy;
    state.script = status.script;
    state.generation = status.generation;
    state.loaded_at = status.loaded_at;
    state.hooks = status.hooks;
    state.error = status.last_error;
  }
  return states;
}

script::WorkerScripts& Server::scripts_of(Worker& worker) {
  return static_cast<script::WorkerScripts&>(worker.filters());
}

void Server::warn_of_doubts(const proxy::SharedSnapshot& snapshot) {
  uint64_t clients = 0;
  for (const config::Listener& listener : snapshot.config.listeners) {
    clients += listener.max_connections;
  }
  const int most = net::descriptors::most_connections();
  if (clients > static_cast<uint64_t>(most)) {
    log::warn("max_connections of all listeners exceeds what the open files limit allows",
              {{"max_connections", clients}, {"descriptors", most}});
  }
  for (const std::string& warning : snapshot.config.warnings) {
    log::warn("the config is doubtful", {{"detail", warning}});
  }
  if (const std::string doubt = doubtful_admin(snapshot.config.admin); !doubt.empty()) {
    log::warn("the config is doubtful", {{"detail", doubt}});
  }
  for (const std::string& doubt :
       proxy::doubtful_certificates(snapshot.config, snapshot.tls, unix_now())) {
    log::warn("certificate is not valid now", {{"detail", doubt}});
  }
}

CheckedFiles check_files(const config::Snapshot& snapshot) {
  CheckedFiles checked;
  const auto keys = std::make_shared<net::TlsTicketKeys>(std::chrono::steady_clock::now());
  const auto contexts = proxy::load_tls(snapshot, nullptr, keys, checked.faults);
  const auto addresses = address_faults(snapshot);
  checked.faults.insert(checked.faults.end(), addresses.begin(), addresses.end());
  const auto targets = target_faults(snapshot);
  checked.faults.insert(checked.faults.end(), targets.begin(), targets.end());
  checked.warnings = proxy::doubtful_certificates(snapshot, contexts, unix_now());
  if (const std::string doubt = doubtful_admin(snapshot.admin); !doubt.empty()) {
    checked.warnings.push_back(doubt);
  }
  const auto doubts = doubtful_names(snapshot, kNamesWithin);
  checked.warnings.insert(checked.warnings.end(), doubts.begin(), doubts.end());
  return checked;
}

}  // namespace tidegate::server
