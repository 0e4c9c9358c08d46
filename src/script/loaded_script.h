// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/event_loop.h"
#include "script/generation.h"
#include "script/handle.h"
#include "script/hook_call.h"
#include "script/names.h"
#include "script/script_filter.h"
#include "script/slices.h"
#include "script/vm.h"
#include "telemetry/registry.h"

namespace tidegate::script {

/// One generation in one worker: its VM, the filters of its policies, and the calls of the
/// exchanges that use it. Owned by WorkerScripts; a scratch one, of the control thread, checks a
/// generation before it goes live.
class LoadedScript final : private SlicedWork {
 public:
  /// `slices`: of the worker; nullptr: a scratch one, which runs no hooks.
  LoadedScript(std::shared_ptr<const Generation> generation, Watch& watch, telemetry::Shard& shard,
               Slices* slices, unsigned worker);
  LoadedScript(const LoadedScript&) = delete;
  LoadedScript& operator=(const LoadedScript&) = delete;
  ~LoadedScript();

  /// Runs the top level for every policy; the errors.
  std::vector<std::string> load();
  /// The same for about `most` at a time; true: done. A policy whose top level fails here is broken
  /// down; its error is appended.
  bool load_some(Duration most, std::vector<std::string>& errors);

  // ---- memory of its VM: collected in steps between the runs ----

  /// Begins a collection, unless one is under way.
  void collect();
  /// `run` is parked until a collection that begins now or is under way has ended. False: it is
  /// under way, and may leave what died since it began.
  bool wait_for_collection(ParkedRun& run);
  /// The time in which the last collection worked, by the clock.
  Duration collection_took() const;
  /// A run that begins must wait for the collection.
  bool short_of_memory() const { return short_of_memory_; }
  /// A run went over the memory budget: is there any hope for the next?
  void note_memory_breach();
  /// The VM is full for good, and to be replaced.
  std::function<void(LoadedScript&)> on_hopeless;
  bool hopeless = false;  // another is being loaded in its place

  Slices& slices() { return *slices_; }
  Vm& vm() { return vm_; }
  Names& names() { return names_; }
  const Generation& generation() const { return *generation_; }
  const std::shared_ptr<const Generation>& shared_generation() const { return generation_; }
  std::deque<ScriptFilter>& filters() { return filters_; }
  unsigned worker() const { return worker_; }
  ScriptFilter* find(std::string_view policy);
  /// No chain holds a filter of it.
  bool unused() const;

  HookCall& take_call();
  void give_back_call(HookCall& call) { idle_calls_.push_back(&call); }

  /// For the handles of one policy in one exchange; never 0.
  uint64_t next_handle_number() {
    handle_number_ = handle_number_ == kMaxHandleNumber ? 1 : handle_number_ + 1;
    return handle_number_;
  }

  // ---- for C functions ----

  static LoadedScript& of(lua_State* L) { return *static_cast<LoadedScript*>(Vm::of(L).owner); }
  /// The policy that runs, at top level too; nullptr: none.
  ScriptFilter* running_filter = nullptr;
  /// The exchange's part that runs; nullptr at top level.
  HookCall* running_call = nullptr;
  /// Names of limits that top levels have asked for.
  std::vector<std::string> used_limits;

  void push_metatable(lua_State* L, HandleKind kind) const {
    lua_rawgeti(L, LUA_REGISTRYINDEX, metatables_[static_cast<size_t>(kind)]);
  }

 private:
  static constexpr unsigned kFullInARow = 8;

  void make_metatables();
  void work(Duration most) override;
  bool is_full_for_good();

  std::shared_ptr<const Generation> generation_;
  Slices* const slices_;
  const unsigned worker_;
  Vm vm_;
  Names names_;
  uint64_t handle_number_ = 0;
  int metatables_[kHandleKinds] = {};
  size_t loaded_ = 0;  // filters
  bool collecting_ = false;
  uint64_t collection_ticks_ = 0;
  bool marking_ = false;     // a part of it is done
  unsigned found_full_ = 0;  // by so many collections in a row
  bool short_of_memory_ = false;
  bool breached_ = false;
  std::deque<HookCall> calls_;
  std::vector<HookCall*> idle_calls_;
  std::deque<ScriptFilter> filters_;
  List<ParkedRun> waiting_;  // for the collection
};

}  // namespace tidegate::script
