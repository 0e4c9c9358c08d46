// SPDX-License-Identifier: Apache-2.0
#include "upstream/candidates.h"

#include <algorithm>
#include <utility>

namespace tidegate::upstream {
namespace {

constexpr double kColdest = 0.1;
// Draws of endpoints in their slow start that are given back before one is taken as it comes.
constexpr int kWarmerDraws = 8;

}  // namespace

bool panics(size_t healthy, size_t all, const config::Cluster& config) {
  return static_cast<double>(healthy) < config.panic_threshold * static_cast<double>(all);
}

Candidates::Candidates(const std::vector<Candidate>& all, const config::Cluster& config,
                       uint64_t seed, std::shared_ptr<const HashRing> ring)
    : config_(config), listed_(all.size()), ring_(std::move(ring)), random_(seed) {
  endpoints_.reserve(all.size());
  settings_.reserve(all.size());
  for (const Candidate& one : all) {
    endpoints_.push_back(one.endpoint);
    settings_.push_back(one.settings);
  }
}

bool Candidates::refresh(TimePoint now) {
  const uint64_t changes = Endpoint::changes();
  if (changes == changes_seen_ && now < look_again_at_) return false;
  changes_seen_ = changes;
  list_available(now);
  prepare_draws();
  return true;
}

bool Candidates::usable(size_t index, TimePoint now) const {
  const Endpoint& endpoint = *endpoints_[index];
  if (endpoint.resolved.empty()) return false;  // its name does not resolve
  if (!panic_) return endpoint.available(now);
  return !endpoint.draining.load(std::memory_order_relaxed) && endpoint.breaker.allows(now);
}

// A half-open one stays on the list while its trials are under way: they end at any moment.
bool Candidates::listable(size_t index, TimePoint now) const {
  const Endpoint& endpoint = *endpoints_[index];
  if (endpoint.draining.load(std::memory_order_relaxed) || endpoint.resolved.empty()) return false;
  if (!panic_ && !endpoint.healthy.load(std::memory_order_relaxed)) return false;
  return endpoint.breaker.state() != Breaker::State::Open || now >= endpoint.breaker.open_until();
}

bool Candidates::local(size_t index) const {
  const auto& tags = settings_[index]->tags;
  const auto tag = tags.find(config_.locality->tag);
  return tag != tags.end() && tag->second == config_.locality->value;
}

void Candidates::list_available(TimePoint now) {
  const auto healthy = std::ranges::count_if(
      endpoints_, [](const Endpoint* one) { return one->healthy.load(std::memory_order_relaxed); });
  panic_ = panics(static_cast<size_t>(healthy), endpoints_.size(), config_);
  list_.clear();
  look_again_at_ = TimePoint::max();
  size_t locals = 0;
  std::vector<uint32_t> near;
  for (uint32_t i = 0; i < endpoints_.size(); ++i) {
    const bool is_local = config_.locality && local(i);
    locals += is_local ? 1 : 0;
    const Breaker& breaker = endpoints_[i]->breaker;
    if (breaker.state() == Breaker::State::Open && now < breaker.open_until()) {
      look_again_at_ = std::min(look_again_at_, breaker.open_until());
    }
    if (!listable(i, now)) continue;
    list_.push_back(i);
    if (is_local) near.push_back(i);
  }
  if (!near.empty() && static_cast<double>(near.size()) >=
                           config_.locality->min_available * static_cast<double>(locals)) {
    list_ = std::move(near);
  }
  listed_.assign(endpoints_.size(), false);
  for (const uint32_t index : list_) listed_[index] = true;
}

void Candidates::prepare_draws() {
  slots_.clear();
  double sum = 0;
  bool equal = true;
  for (const uint32_t index : list_) {
    const uint32_t weight = full_weight(index);
    sum += weight;
    equal = equal && weight == full_weight(list_.front());
  }
  any_weight_ = sum > 0;
  if (equal || !any_weight_) return;
  std::vector<uint32_t> poor;
  std::vector<uint32_t> rich;
  for (uint32_t i = 0; i < list_.size(); ++i) {
    const double limit = full_weight(list_[i]) / sum * static_cast<double>(list_.size());
    slots_.push_back({limit, i});
    (limit < 1 ? poor : rich).push_back(i);
  }
  while (!poor.empty() && !rich.empty()) {
    const uint32_t taker = poor.back();
    const uint32_t giver = rich.back();
    poor.pop_back();
    slots_[taker].alias = giver;
    slots_[giver].limit -= 1 - slots_[taker].limit;
    if (slots_[giver].limit >= 1) continue;
    rich.pop_back();
    poor.push_back(giver);
  }
}

double Candidates::slow_start_of(size_t index, TimePoint now) const {
  const int64_t since = endpoints_[index]->warm_since_ns.load(std::memory_order_relaxed);
  if (since == 0) return 1;
  const auto age = static_cast<double>(now.time_since_epoch().count() - since);
  return std::clamp(age / static_cast<double>(config_.slow_start.count()), kColdest, 1.0);
}

int Candidates::draw(TimePoint now) {
  if (!any_weight_) return -1;
  for (int left = kWarmerDraws;; --left) {
    uint32_t at = random_.below(static_cast<uint32_t>(list_.size()));
    if (!slots_.empty() && random_.unit() >= slots_[at].limit) at = slots_[at].alias;
    const uint32_t index = list_[at];
    if (left == 0 || takes_part(index, now)) return static_cast<int>(index);
  }
}

}  // namespace tidegate::upstream
