// SPDX-License-Identifier: Apache-2.0
#include "upstream/health_checks.h"

#include <sys/resource.h>

#include <algorithm>
#include <random>
#include <utility>

#include "telemetry/log.h"
#include "upstream/health_state.h"
#include "upstream/probe.h"

namespace tidegate::upstream {
namespace {

// Timers of one length share a list, so the interval varies in steps.
constexpr uint32_t kJitterSteps = 64;
// First checks of new endpoints that are made at once; those of more are spread over the interval,
// since what begins together comes back together.
constexpr size_t kFirstAtOnce = 32;
// Checks under way at once: a part of the descriptors, most of which are for clients.
constexpr size_t kLeastAtOnce = 16;
constexpr size_t kMostAtOnce = 512;
constexpr size_t kShareOfDescriptors = 8;  // one in so many

size_t most_at_once() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  return std::clamp<size_t>(files.rlim_cur / kShareOfDescriptors, kLeastAtOnce, kMostAtOnce);
}

}  // namespace

/// The checks of one endpoint: probes it, waits, probes it again.
class EndpointCheck final : private CheckQueue::Check, private Probe::Owner {
 public:
  struct Context {
    net::EventLoop& loop;
    telemetry::Shard& cells;
    telemetry::Shard& connection_cells;
    ArenaBlocks& blocks;
    Random& random;
    CheckQueue& queue;
    const std::function<void()>& on_shortage;
  };

  /// `spread`: its first check is not now, but at some time within the interval.
  EndpointCheck(const Context& context, const config::Cluster& cluster,
                std::shared_ptr<Endpoint> endpoint, const Pool::Settings& connections, bool spread)
      : context_(context),
        cluster_(cluster.name),
        settings_(*cluster.health_check),
        endpoint_(std::move(endpoint)),
        state_(endpoint_->healthy.load(std::memory_order_relaxed)),
        passed_(context.cells.counter(telemetry::Family::HealthChecksTotal,
                                      {cluster_, endpoint_->address, "passed"}, &lease_)),
        failed_(context.cells.counter(telemetry::Family::HealthChecksTotal,
                                      {cluster_, endpoint_->address, "failed"}, &lease_)),
        probe_(context.loop, make_pool(connections), settings_, context.blocks, *this),
        timer_([](void* self) { static_cast<EndpointCheck*>(self)->probe(); }, this) {
    if (spread) {
      context_.loop.timers().arm(timer_, settings_.interval * random_step() / kJitterSteps);
    } else {
      probe();
    }
  }
  ~EndpointCheck() override { context_.queue.ended(*this); }

  const std::string& cluster() const { return cluster_; }
  bool fits(const config::Cluster& cluster) const {
    return cluster.name == cluster_ && *cluster.health_check == settings_;
  }

  void configure(const Pool::Settings& connections) {
    probe_.pool().configure(for_checks(connections));
  }

  void probe() {
    timer_.disarm();
    context_.queue.ask(*this);
  }

 private:
  void begin() override { probe_.start(); }

  // A connection for each check: that one can be made is part of what is checked.
  Pool::Settings for_checks(Pool::Settings settings) const {
    settings.connect_timeout = settings_.timeout;
    settings.pool.max_connections = 0;
    settings.pool.max_requests = 1;
    settings.pool.idle_timeout = std::chrono::milliseconds(1);
    return settings;
  }

  std::unique_ptr<Pool> make_pool(const Pool::Settings& connections) {
    return std::make_unique<Pool>(
        context_.loop, endpoint_, for_checks(connections),
        Pool::Cells{
            telemetry::EndpointMetrics(context_.connection_cells, cluster_, endpoint_->address),
            context_.connection_cells.gauge(telemetry::Family::BackendConnectionsActive)});
  }

  void on_probed(std::string_view fault) override {
    (fault.empty() ? passed_ : failed_).add();
    if (state_.record(fault.empty(), settings_)) change(fault);
    context_.loop.timers().arm(timer_, until_next());
    context_.queue.ended(*this);
  }

  void on_not_probed() override {
    log::log_limited("health check", log::Level::Warn,
                     "cannot check endpoints: out of descriptors, ports or memory",
                     {{"cluster", cluster_}, {"endpoint", endpoint_->address}});
    context_.on_shortage();
    context_.queue.ended(*this);
    context_.queue.ask(*this);
  }

  void change(std::string_view fault) {
    const TimePoint now = context_.loop.now();
    endpoint_->set_healthy(state_.healthy(), now);
    if (state_.healthy()) {
      // What made its breaker open lies behind it.
      endpoint_->reset_breaker(now);
      log::info("endpoint is healthy", {{"cluster", cluster_}, {"endpoint", endpoint_->address}});
    } else {
      log::warn("endpoint is unhealthy",
                {{"cluster", cluster_}, {"endpoint", endpoint_->address}, {"reason", fault}});
    }
  }

  Duration until_next() {
    const double step = random_step() / double{kJitterSteps};
    return jittered(settings_.interval, settings_.jitter, settings_.jitter, step);
  }
  uint32_t random_step() { return context_.random.below(kJitterSteps + 1); }

  const Context context_;
  const std::string cluster_;
  const config::HealthCheck settings_;
  const std::shared_ptr<Endpoint> endpoint_;
  HealthState state_;
  telemetry::Lease lease_;
  telemetry::Counter& passed_;
  telemetry::Counter& failed_;
  Probe probe_;
  Timer timer_;
};

HealthChecks::HealthChecks(net::EventLoop& loop, telemetry::Shard& cells,
                           telemetry::Shard& connection_cells)
    : loop_(loop),
      cells_(cells),
      connection_cells_(connection_cells),
      random_(std::random_device{}()),
      shortage_([](void* self) { static_cast<HealthChecks*>(self)->queue_.resume(); }, this),
      on_shortage_([this] { on_shortage(); }) {}

HealthChecks::~HealthChecks() {
  queue_.pause();
}

// Once for all of them: each would ask for descriptors again, and clients' connections would be
// closed for that at the rate of the checks.
void HealthChecks::on_shortage() {
  constexpr Duration kSoon = std::chrono::seconds(1);
  if (shortage_.armed()) return;
  queue_.pause();
  loop_.timers().arm(shortage_, kSoon);
  if (reclaim_) reclaim_();
}

void HealthChecks::update(const config::Snapshot& snapshot, const EndpointSet& set,
                          const ConnectionSettings& connection_settings) {
  auto before = std::exchange(checks_, {});
  size_t begun = 0;
  queue_.set_most(most_at_once());
  for (size_t i = 0; i < snapshot.clusters.size(); ++i) {
    const config::Cluster& cluster = snapshot.clusters[i];
    for (const auto& endpoint : set[i]) {
      if (!cluster.health_check) {
        endpoint->set_healthy(!endpoint->resolved.empty(), loop_.now());
        continue;
      }
      auto& check = checks_[endpoint.endpoint.get()];
      const Pool::Settings connections = connection_settings(i, *endpoint);
      const auto known = before.find(endpoint.endpoint.get());
      if (known != before.end() && known->second->fits(cluster)) {
        check = std::move(known->second);
        before.erase(known);
        check->configure(connections);
      } else if (check == nullptr) {
        check = std::make_unique<EndpointCheck>(
            EndpointCheck::Context{loop_, cells_, connection_cells_, blocks_, random_, queue_,
                                   on_shortage_},
            cluster, endpoint.endpoint, connections, begun++ >= kFirstAtOnce);
      }
    }
  }
}

void HealthChecks::check_now(std::string_view cluster) {
  for (const auto& [endpoint, check] : checks_) {
    if (check->cluster() == cluster) check->probe();
  }
}

}  // namespace tidegate::upstream
