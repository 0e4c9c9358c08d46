// SPDX-License-Identifier: Apache-2.0
#include "upstream/cluster.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "telemetry/log.h"

namespace tidegate::upstream {
namespace {

// What a failed attempt counts as with the balancer `ewma`, so that an endpoint which fails fast
// does not look fast.
constexpr Duration kFailedLatency = std::chrono::seconds(1);

void log_opened(const std::string& cluster, const Endpoint& endpoint, TimePoint now) {
  const auto failure = endpoint.breaker.last_failure();
  log::warn("breaker opened",
            {{"cluster", cluster},
             {"endpoint", endpoint.address},
             {"failures", endpoint.breaker.failures()},
             {"last_failure", failure ? failure->to_string() : std::string()},
             {"for_ms", (endpoint.breaker.open_until() - now) / std::chrono::milliseconds(1)}});
}

}  // namespace

Cluster::Cluster(const config::Cluster& config, Membership* members, uint64_t seed,
                 ClusterRing ring)
    : config_(config), membership_(members), seed_(seed) {
  make_balancer(std::move(ring));
}

Cluster::~Cluster() {
  membership_->unpin();
}

void Cluster::make_balancer(ClusterRing ring) {
  std::vector<Candidate> all;
  all.reserve(members().size());
  for (const Member& member : members()) all.push_back({member.endpoint, member.settings.get()});
  balancer_ = find_balancer(config_.balancer)({all, config_, seed_++, std::move(ring)});
}

void Cluster::replace_members(Membership* members, ClusterRing ring) {
  Membership* const before = std::exchange(membership_, members);
  make_balancer(std::move(ring));
  survey_ = {};
  before->retire(*members);
  before->unpin();
}

const Member* Cluster::pick(const PickContext& context) {
  const int index = balancer_->pick(context);
  return index < 0 ? nullptr : &members()[static_cast<size_t>(index)];
}

void Cluster::note_latency(const Endpoint& of, Duration took, TimePoint now) const {
  auto& endpoint = const_cast<Endpoint&>(of);
  if (balancer_->wants_latency()) endpoint.peak_latency.note(took, now);
  // An eighth of each new sample; losing one to another worker does no harm.
  const auto sample = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  const int64_t before = endpoint.latency_us.load(std::memory_order_relaxed);
  const int64_t after = before == 0 ? sample : before + (sample - before) / 8;
  endpoint.latency_us.store(static_cast<uint32_t>(std::max<int64_t>(after, 1)),
                            std::memory_order_relaxed);
}

bool Cluster::healthy(TimePoint now) const {
  return survey(now).available > 0;
}

Cluster::Admission Cluster::admit(const Member* wanted, const PickContext& context) {
  // Another worker may take the last trial between the pick and the admission.
  constexpr int kPicks = 4;
  for (int i = 0; i < kPicks; ++i) {
    const Member* member = wanted != nullptr ? std::exchange(wanted, nullptr) : pick(context);
    if (member == nullptr) break;
    if (!config_.breaker) return {member, {}};
    if (const auto ticket = member->endpoint->breaker.admit(context.now)) return {member, *ticket};
  }
  return {};
}

void Cluster::settle(Endpoint& endpoint, Breaker::Ticket ticket, const Outcome& outcome,
                     TimePoint now) {
  if (!config_.breaker) {
    if (!balancer_->wants_latency()) return;
    static const config::Breaker kUsual;
    if (is_failure(outcome, kUsual)) endpoint.peak_latency.note(kFailedLatency, now);
    return;
  }
  const config::Breaker& settings = *config_.breaker;
  const bool failed = is_failure(outcome, settings);
  if (!failed && outcome.status == 0) return endpoint.breaker.cancel(ticket);
  if (failed) {
    endpoint.breaker.note_last_failure(outcome, now);
    if (balancer_->wants_latency()) endpoint.peak_latency.note(kFailedLatency, now);
  }
  switch (endpoint.breaker.settle(ticket, failed, now, settings)) {
    case Breaker::Change::None:
      return;
    case Breaker::Change::Wanted:
      if (eject(endpoint, now)) log_opened(name(), endpoint, now);
      return;
    case Breaker::Change::Reopened:
      Endpoint::note_change();
      return log_opened(name(), endpoint, now);
    case Breaker::Change::Closed:
      endpoint.begin_slow_start(now);
      Endpoint::note_change();
      log::info("breaker closed", {{"cluster", name()}, {"endpoint", endpoint.address}});
  }
}

const Cluster::Survey& Cluster::survey(TimePoint now) const {
  constexpr Duration kHolds = std::chrono::milliseconds(1);
  // A trial under way ends when it ends.
  constexpr Duration kTrial = std::chrono::seconds(1);
  const uint64_t changes = Endpoint::changes();
  // A breaker that begins its trials is no change.
  const bool let_go = survey_.held_until > survey_.taken_at && survey_.held_until <= now;
  if (survey_.changes == changes && now - survey_.taken_at < kHolds && !let_go) return survey_;
  survey_ = {changes, now, 0, 0, TimePoint::max()};
  TimePoint unhealthy_held_until = TimePoint::max();
  size_t healthy = 0;
  for (const Member& member : members()) {
    const Endpoint& one = *member.endpoint;
    const bool is_healthy = one.healthy.load(std::memory_order_relaxed);
    healthy += is_healthy ? 1 : 0;
    survey_.available += one.available(now) ? 1 : 0;
    const Breaker::State state = one.breaker.state();
    if (state == Breaker::State::Closed) continue;
    ++survey_.ejected;
    if (one.draining.load(std::memory_order_relaxed) || one.breaker.allows(now)) continue;
    TimePoint& until = is_healthy ? survey_.held_until : unhealthy_held_until;
    until = std::min(until, state == Breaker::State::Open
                                ? one.breaker.open_until()
                                : std::min(one.breaker.trials_until(), now + kTrial));
  }
  // In panic the unhealthy are used too, and breakers hold all the same.
  if (panics(healthy, members().size(), config_)) {
    survey_.held_until = std::min(survey_.held_until, unhealthy_held_until);
  }
  if (survey_.held_until == TimePoint::max()) survey_.held_until = now;
  return survey_;
}

// One worker at a time, since each of two could spare one and both together the last two.
bool Cluster::eject(Endpoint& endpoint, TimePoint now) {
  if (!can_spare_one(now)) return false;  // while all fail, nobody waits for the lock
  static std::mutex deciding;
  const std::lock_guard lock(deciding);
  if (!can_spare_one(now) || !endpoint.breaker.trip(now, *config_.breaker)) return false;
  Endpoint::note_change();
  return true;
}

bool Cluster::can_spare_one(TimePoint now) const {
  const size_t ejected = survey(now).ejected;
  const double most = config_.breaker->max_ejected * static_cast<double>(members().size());
  return ejected == 0 || static_cast<double>(ejected + 1) <= most;
}

Duration Cluster::breakers_hold_for(TimePoint now) const {
  return std::max(survey(now).held_until - now, Duration::zero());
}

}  // namespace tidegate::upstream
