// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/filter.h"
#include "script/generation.h"
#include "script/loaded_script.h"
#include "script/watchdog.h"

namespace tidegate::script {

/// The scripts of one worker, where its chains get their filters from. Made, used and destroyed in
/// the worker's thread, after every chain has gone.
///
/// To change generations: `adopt` in each worker at a loop turn, then RouteTable::refresh_chains.
/// What runs or waits in an old generation finishes there; the old VM goes when the last chain that
/// holds a filter of it does.
class WorkerScripts final : public proxy::FilterSource {
 public:
  WorkerScripts(Watchdog& watchdog, telemetry::Shard& shard, unsigned worker);
  WorkerScripts(const WorkerScripts&) = delete;
  WorkerScripts& operator=(const WorkerScripts&) = delete;
  ~WorkerScripts() override;

  /// Generations that are in use already are kept with their VM and its state.
  void adopt(const GenerationSet& set);

  proxy::Filter* find_filter(std::string_view policy) override;
  void acquire(proxy::Filter& filter) override;
  void give_back(proxy::Filter& filter) override;

  /// VMs alive, old generations included.
  size_t vm_count() const { return current_.size() + old_.size(); }

 private:
  using Scripts = std::vector<std::unique_ptr<LoadedScript>>;
  std::unique_ptr<LoadedScript> take_current(const Generation* generation);
  std::unique_ptr<LoadedScript> load(const std::shared_ptr<const Generation>& generation);

  Watch watch_;
  telemetry::Shard& shard_;
  const unsigned worker_;
  Scripts current_;
  Scripts old_;  // some chain still holds a filter
  std::unordered_map<std::string_view, ScriptFilter*> by_policy_;
};

}  // namespace tidegate::script
