// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/event_loop.h"
#include "script/generation.h"
#include "script/handle.h"
#include "script/hook_call.h"
#include "script/names.h"
#include "script/script_filter.h"
#include "script/vm.h"
#include "telemetry/registry.h"

namespace tidegate::script {

/// One generation in one worker: its VM, the filters of its policies, and the calls of the
/// exchanges that use it. Owned by WorkerScripts; a scratch one, of the control thread, checks a
/// generation before it goes live.
class LoadedScript {
 public:
  LoadedScript(std::shared_ptr<const Generation> generation, Watch& watch, telemetry::Shard& shard,
               unsigned worker);
  LoadedScript(const LoadedScript&) = delete;
  LoadedScript& operator=(const LoadedScript&) = delete;

  /// Runs the top level for every policy; the errors.
  std::vector<std::string> load();

  Vm& vm() { return vm_; }
  Names& names() { return names_; }
  const Generation& generation() const { return *generation_; }
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
  void make_metatables();

  std::shared_ptr<const Generation> generation_;
  const unsigned worker_;
  Vm vm_;
  Names names_;
  uint64_t handle_number_ = 0;
  int metatables_[kHandleKinds] = {};
  std::deque<HookCall> calls_;
  std::vector<HookCall*> idle_calls_;
  std::deque<ScriptFilter> filters_;
};

}  // namespace tidegate::script
