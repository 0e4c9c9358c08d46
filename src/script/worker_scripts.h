// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proxy/filter.h"
#include "script/generation.h"
#include "script/loaded_script.h"
#include "script/slices.h"
#include "script/watchdog.h"

namespace tidegate::script {

/// The scripts of one worker, where its chains get their filters from. Made, used and destroyed in
/// the worker's thread, after every chain has gone.
///
/// To change generations: `adopt_in_turns` in each worker, and RouteTable::refresh_chains when it
/// says that they are there. What runs or waits in an old generation finishes there; the old VM
/// goes in a later turn than the last chain that holds a filter of it.
class WorkerScripts final : public proxy::FilterSource, private SlicedWork {
 public:
  WorkerScripts(Watchdog& watchdog, net::EventLoop& loop, telemetry::Shard& shard, unsigned worker);
  WorkerScripts(const WorkerScripts&) = delete;
  WorkerScripts& operator=(const WorkerScripts&) = delete;
  ~WorkerScripts() override;

  /// Loads what is new and uses `set`, in the course of turns of the loop: one script a turn at
  /// most, top levels in slices. Then `done` is called. Until then the old generations serve; those
  /// that are in use already are kept with their VM and its state. A later call takes the place of
  /// one under way, and calls both functions when it is done.
  void adopt_in_turns(std::shared_ptr<const GenerationSet> set, std::function<void()> done);
  /// The same at once, for a worker that serves nobody yet.
  void adopt(const GenerationSet& set);
  /// Called when VMs were replaced: refresh the chains.
  std::function<void()> on_replaced;

  proxy::Filter* find_filter(std::string_view policy) override;
  void acquire(proxy::Filter& filter) override;
  void give_back(proxy::Filter& filter) override;

  Slices& slices() { return slices_; }
  /// VMs alive, old generations included.
  size_t vm_count() const { return current_.size() + old_.size(); }

 private:
  using Scripts = std::vector<std::unique_ptr<LoadedScript>>;
  void work(Duration most) override;
  void want(std::shared_ptr<const GenerationSet> set);
  bool load_some(Duration most);
  std::shared_ptr<const Generation> next_to_load();
  void begin_loading(std::shared_ptr<const Generation> generation);
  void use_wanted();
  bool bury_one();
  void replace(LoadedScript& script);

  Watch watch_;
  Slices slices_;
  telemetry::Shard& shard_;
  const unsigned worker_;
  // What is to be adopted: the set, how far it has been looked through, and what was loaded for it.
  std::shared_ptr<const GenerationSet> wanted_;
  size_t looked_at_ = 0;
  std::unordered_set<const Generation*> at_hand_;  // those that need no loading
  Scripts fresh_;
  std::unique_ptr<LoadedScript> loading_;
  std::vector<std::string> errors_;  // of `loading_`
  std::vector<std::function<void()>> done_;
  Scripts current_;
  Scripts old_;  // some chain still holds a filter, or did until this turn
  std::unordered_map<std::string_view, ScriptFilter*> by_policy_;
};

}  // namespace tidegate::script
