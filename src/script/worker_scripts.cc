// SPDX-License-Identifier: Apache-2.0
#include "script/worker_scripts.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "telemetry/log.h"

namespace tidegate::script {
namespace {

// VMs of one generation that were full for good, and serve exchanges yet.
constexpr auto kMostReplaced = 4;

}  // namespace

WorkerScripts::WorkerScripts(Watchdog& watchdog, net::EventLoop& loop, telemetry::Shard& shard,
                             unsigned worker)
    : watch_(watchdog), slices_(loop), shard_(shard), worker_(worker) {}

WorkerScripts::~WorkerScripts() = default;

void WorkerScripts::adopt(const GenerationSet& set) {
  want(std::make_shared<const GenerationSet>(set));
  while (!load_some(Duration::max())) {
  }
  use_wanted();
}

void WorkerScripts::adopt_in_turns(std::shared_ptr<const GenerationSet> set,
                                   std::function<void()> done) {
  want(std::move(set));
  done_.push_back(std::move(done));
  slices_.schedule(*this);
}

void WorkerScripts::want(std::shared_ptr<const GenerationSet> set) {
  wanted_ = std::move(set);
  looked_at_ = 0;
  at_hand_.clear();
  for (const Scripts* scripts : {&current_, &fresh_}) {
    for (const auto& script : *scripts) {
      if (!script->hopeless) at_hand_.insert(&script->generation());
    }
  }
}

// One step: each is work for a turn where there are a thousand policies.
void WorkerScripts::work(Duration most) {
  if (wanted_ != nullptr) {
    if (load_some(most)) use_wanted();
  } else if (!done_.empty()) {
    for (auto& done : std::exchange(done_, {})) done();
  } else if (!bury_one()) {
    return;
  }
  slices_.schedule(*this);
}

// True: all that is wanted is there.
bool WorkerScripts::load_some(Duration most) {
  if (loading_ == nullptr) {
    auto next = next_to_load();
    if (next == nullptr) return true;
    begin_loading(std::move(next));
    if (most != Duration::max()) return false;  // making a VM is work for a turn
  }
  if (!loading_->load_some(most, errors_)) return false;
  for (const std::string& error : errors_) {
    // It did load in the scratch VM, so it depends on more than its text.
    log::error("a script that was checked can not be loaded by a worker",
               {{"script", loading_->generation().main().name},
                {"detail", std::string_view(error)},
                {"worker", worker_}});
  }
  errors_.clear();
  at_hand_.insert(&loading_->generation());
  fresh_.push_back(std::move(loading_));
  return false;
}

std::shared_ptr<const Generation> WorkerScripts::next_to_load() {
  for (; looked_at_ < wanted_->size(); ++looked_at_) {
    const auto& generation = (*wanted_)[looked_at_];
    if (!at_hand_.contains(generation.get())) return generation;
  }
  return nullptr;
}

void WorkerScripts::begin_loading(std::shared_ptr<const Generation> generation) {
  loading_ =
      std::make_unique<LoadedScript>(std::move(generation), watch_, shard_, &slices_, worker_);
  loading_->on_hopeless = [this](LoadedScript& script) { replace(script); };
}

void WorkerScripts::use_wanted() {
  std::unordered_map<const Generation*, std::unique_ptr<LoadedScript>*> at;
  for (Scripts* scripts : {&current_, &fresh_}) {
    for (auto& script : *scripts) {
      if (!script->hopeless) at[&script->generation()] = &script;
    }
  }
  Scripts next;
  for (const auto& generation : *wanted_) next.push_back(std::move(*at.at(generation.get())));
  for (Scripts* scripts : {&current_, &fresh_}) {
    for (auto& script : *scripts) {
      if (script != nullptr) old_.push_back(std::move(script));
    }
  }
  current_ = std::move(next);
  fresh_.clear();
  wanted_ = nullptr;
  by_policy_.clear();
  for (auto& script : current_) {
    for (ScriptFilter& filter : script->filters()) {
      by_policy_.emplace(filter.name(), &filter);
      filter.metrics().generation(filter.generation());
    }
  }
  if (!old_.empty()) slices_.schedule(*this);
}

// Ending a VM is work for a turn.
bool WorkerScripts::bury_one() {
  const auto unused =
      std::ranges::find_if(old_, [](const auto& script) { return script->unused(); });
  if (unused == old_.end()) return false;
  std::swap(*unused, old_.back());
  old_.pop_back();
  return true;
}

void WorkerScripts::replace(LoadedScript& script) {
  const bool serves =
      std::ranges::any_of(current_, [&script](const auto& one) { return one.get() == &script; });
  if (!serves || script.hopeless) return;
  // Predecessors serve their exchanges to the end, which so may hold some VMs but not any number.
  const auto kept = std::ranges::count_if(old_, [&script](const auto& one) {
    return one->hopeless && &one->generation() == &script.generation();
  });
  if (kept >= kMostReplaced) {
    const std::string_view policy = script.filters().front().name();
    log::log_limited("full " + std::string(policy), log::Level::Warn,
                     "a policy's VM is full for good, and is not replaced while those that it was "
                     "replaced by before still serve exchanges",
                     {{"policy", policy}, {"worker", worker_}});
    return;
  }
  script.hopeless = true;
  for (const ScriptFilter& filter : script.filters()) {
    log::warn("a policy's VM is full for good, and is replaced by a fresh one",
              {{"policy", filter.name()}, {"worker", worker_}});
    shard_.counter(telemetry::Family::ScriptReloadsTotal, {filter.name(), "replaced"}).add();
  }
  auto set = std::make_shared<GenerationSet>();
  if (wanted_ != nullptr) *set = *wanted_;
  if (wanted_ == nullptr) {
    for (const auto& one : current_) set->push_back(one->shared_generation());
  }
  adopt_in_turns(std::move(set), [this] {
    if (on_replaced) on_replaced();
  });
}

proxy::Filter* WorkerScripts::find_filter(std::string_view policy) {
  const auto found = by_policy_.find(policy);
  return found == by_policy_.end() ? nullptr : found->second;
}

void WorkerScripts::acquire(proxy::Filter& filter) {
  ++static_cast<ScriptFilter&>(filter).users;
}

void WorkerScripts::give_back(proxy::Filter& filter) {
  auto& mine = static_cast<ScriptFilter&>(filter);
  assert(mine.users > 0);
  if (--mine.users == 0 && !old_.empty()) slices_.schedule(*this);
}

}  // namespace tidegate::script
