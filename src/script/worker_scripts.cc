// SPDX-License-Identifier: Apache-2.0
#include "script/worker_scripts.h"

#include <algorithm>
#include <cassert>

#include "telemetry/log.h"

namespace tidegate::script {

WorkerScripts::WorkerScripts(Watchdog& watchdog, telemetry::Shard& shard, unsigned worker)
    : watch_(watchdog), shard_(shard), worker_(worker) {}

WorkerScripts::~WorkerScripts() = default;

std::unique_ptr<LoadedScript> WorkerScripts::take_current(const Generation* generation) {
  for (auto& script : current_) {
    if (script != nullptr && &script->generation() == generation) return std::move(script);
  }
  return nullptr;
}

std::unique_ptr<LoadedScript> WorkerScripts::load(
    const std::shared_ptr<const Generation>& generation) {
  auto script = std::make_unique<LoadedScript>(generation, watch_, shard_, worker_);
  for (const std::string& error : script->load()) {
    // It did load in the scratch VM, so it depends on more than its text.
    log::error("a script that was checked can not be loaded by a worker",
               {{"script", generation->main().name}, {"detail", error}, {"worker", worker_}});
  }
  return script;
}

void WorkerScripts::adopt(const GenerationSet& set) {
  Scripts next;
  for (const auto& generation : set) {
    std::unique_ptr<LoadedScript> script = take_current(generation.get());
    next.push_back(script != nullptr ? std::move(script) : load(generation));
  }
  for (auto& script : current_) {
    if (script != nullptr && !script->unused()) old_.push_back(std::move(script));
  }
  current_ = std::move(next);
  by_policy_.clear();
  for (auto& script : current_) {
    for (ScriptFilter& filter : script->filters()) {
      by_policy_.emplace(filter.name(), &filter);
      filter.metrics().generation(filter.generation());
    }
  }
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
  if (--mine.users > 0 || old_.empty()) return;
  std::erase_if(old_, [](const auto& script) { return script->unused(); });
}

}  // namespace tidegate::script
