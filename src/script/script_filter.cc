// SPDX-License-Identifier: Apache-2.0
#include "script/script_filter.h"

#include <fmt/format.h>

#include "script/hook_names.h"
#include "script/hook_outcome.h"
#include "script/json.h"
#include "script/loaded_script.h"
#include "script/require.h"
#include "script/sandbox.h"
#include "script/ticks.h"

namespace tidegate::script {
namespace {

// A top level that runs longer is broken; hooks have the policy's own budget.
constexpr Duration kLoadBudget = std::chrono::seconds(1);
// What the check of the generation has passed shall not fail in a worker for a slower core.
constexpr Duration kWorkersLoadBudget = 2 * kLoadBudget;

constexpr Duration kLoadSlice = std::chrono::microseconds(500);

constexpr std::array<const char*, 2> kMissingHooks{"on_request_body", "on_response_body"};

}  // namespace

ScriptFilter::ScriptFilter(LoadedScript& script, const config::Policy& policy, uint64_t generation,
                           const telemetry::PolicyMetrics& metrics)
    : script_(script),
      policy_(policy),
      generation_(generation),
      metrics_(metrics),
      nanoseconds_per_tick_(script::nanoseconds_per_tick()) {
  hook_references_.fill(LUA_NOREF);
}

proxy::Verdict ScriptFilter::run(proxy::Hook hook, proxy::FilterCall& call) {
  if (broken_) [[unlikely]]
    return refuse(call, "the script is not loaded");
  if (call.state == nullptr) {
    HookCall& opened = script_.take_call();
    opened.open(*this, call);
    call.state = &opened;
  }
  return static_cast<HookCall*>(call.state)->start(hook);
}

proxy::Verdict ScriptFilter::refuse(proxy::FilterCall& call, std::string_view why) const {
  if (policy_.on_error == config::OnError::Open) return proxy::Verdict::Continue;
  call.exchange->fail(ErrorCode::ScriptError, why);
  return proxy::Verdict::Stop;
}

void ScriptFilter::cancel_wait(proxy::FilterCall& call) {
  if (call.state != nullptr) static_cast<HookCall*>(call.state)->cancel();
}

void ScriptFilter::release(proxy::FilterCall& call) {
  if (call.state == nullptr) return;
  static_cast<HookCall*>(std::exchange(call.state, nullptr))->close();
}

std::string ScriptFilter::load() {
  std::string error;
  while (!load_some(false, error)) {
  }
  return error;
}

bool ScriptFilter::load_some(bool sliced, std::string& error) {
  lua_State* L = script_.vm().state();
  if (loading_ == nullptr) {
    push_new_environment(L);
    error = begin_top_level(L);
    load_left_ = load_budget_ = sliced ? kWorkersLoadBudget : kLoadBudget;
    environment_ = luaL_ref(L, LUA_REGISTRYINDEX);
    if (!error.empty()) return true;
  }
  if (!run_top_level(sliced, error)) return false;
  loading_ = nullptr;
  lua_rawgeti(L, LUA_REGISTRYINDEX, environment_);
  luaL_unref(L, LUA_REGISTRYINDEX, environment_);
  if (error.empty()) error = find_hooks(L);
  // Once, where the generation is checked.
  if (error.empty() && !sliced) error = find_lost_hook(L);
  // Perhaps a file caught while it was written: as a policy it would let everything pass.
  if (error.empty() && hooks_ == 0) {
    error = fmt::format("{}: defines no hook, which is a global function: {}",
                        script_.generation().main().name, list_of_hooks());
  }
  lua_pop(L, 1);
  return true;
}

void ScriptFilter::push_new_environment(lua_State* L) {
  push_environment(L, policy_.trusted);
  add_require(L, script_.generation());
  push_json(L, policy_.options_json);
  lua_setfield(L, -2, "options");
}

// With the environment on top of the stack.
std::string ScriptFilter::begin_top_level(lua_State* L) {
  Vm& vm = script_.vm();
  const Chunk& main = script_.generation().main();
  lua_State* thread = vm.take_thread();
  // Made by compile_file from text that was checked.
  if (luaL_loadbufferx(thread, main.bytecode.data(), main.bytecode.size(), main.name.c_str(),
                       "b") != 0) {
    std::string error(vm.error_text(thread));
    vm.drop_thread(thread);
    return error;
  }
  lua_pushvalue(L, -1);
  lua_xmove(L, thread, 1);
  lua_setfenv(thread, -2);
  loading_ = thread;
  return {};
}

// False: its slice is over.
bool ScriptFilter::run_top_level(bool sliced, std::string& error) {
  Vm& vm = script_.vm();
  if (collecting_) {
    if (!vm.collect(kLoadSlice)) return false;
    collecting_ = false;
    if (vm.nearly_full()) {
      error = vm.describe_memory_breach(loading_);
      vm.drop_thread(loading_);
      return true;
    }
  }
  const Duration cpu_before = thread_cpu();
  vm.name_budget(load_budget_);
  script_.running_filter = this;
  const Vm::Outcome outcome = vm.resume(loading_, 0, load_left_, sliced ? ticks() : 0);
  script_.running_filter = nullptr;
  load_left_ -= thread_cpu() - cpu_before;
  collecting_ = outcome == Vm::Outcome::Collect;
  if (collecting_ || outcome == Vm::Outcome::Sliced) {
    if (load_left_ > Duration::zero()) return false;
    error = vm.describe_cpu_breach(loading_, load_budget_);
  } else if (outcome == Vm::Outcome::Waits) {
    error = fmt::format("{}the top level of a script can not wait", vm.place_of(loading_));
  } else if (outcome == Vm::Outcome::Failed) {
    error = describe_error(vm, loading_, kLoadBudget);
  } else {
    returned_hooks_ = hooks_in_table(loading_, 1);
  }
  outcome == Vm::Outcome::Done ? vm.give_back_thread(loading_) : vm.drop_thread(loading_);
  return true;
}

// With the environment on top of the stack.
std::string ScriptFilter::find_hooks(lua_State* L) {
  const auto line_of = [L, this] {  // of the function on top of the stack, which it pops
    lua_Debug info;
    lua_getinfo(L, ">S", &info);
    return fmt::format("{}:{}: ", script_.generation().main().name, info.linedefined);
  };
  for (const char* name : kMissingHooks) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (lua_isfunction(L, -1)) {
      return fmt::format("{}{} is not available in this version", line_of(), name);
    }
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < hook_references_.size(); ++i) {
    const auto hook = static_cast<proxy::Hook>(i);
    lua_pushstring(L, std::string(to_string(hook)).c_str());
    lua_rawget(L, -2);
    if (lua_isfunction(L, -1)) {
      hook_references_[i] = luaL_ref(L, LUA_REGISTRYINDEX);
      hooks_ |= proxy::hook_bit(hook);
      continue;
    }
    const bool absent = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!absent) {
      return fmt::format("{}: {} must be a function", script_.generation().main().name,
                         to_string(hook));
    }
  }
  return {};
}

// What the author thinks is a hook, and nothing would call. With the environment on top of the
// stack, and its hooks known.
std::string ScriptFilter::find_lost_hook(lua_State* L) const {
  const Chunk& main = script_.generation().main();
  std::string fault = find_misnamed_hook(L, lua_gettop(L), main.name);
  if (!fault.empty()) return fault;
  for (const LocalHook& local : main.local_hooks) {
    if ((hooks_ & proxy::hook_bit(local.hook)) != 0) continue;
    return fmt::format("{}:{}: '{}' is local, and never called; a hook is a global function",
                       main.name, local.line, to_string(local.hook));
  }
  for (size_t i = 0; i < hook_references_.size(); ++i) {
    const auto hook = static_cast<proxy::Hook>(i);
    if ((returned_hooks_ & ~hooks_ & proxy::hook_bit(hook)) == 0) continue;
    return fmt::format(
        "{}: '{}' is in the table that the file returns, and never called; a hook is a global "
        "function",
        main.name, to_string(hook));
  }
  return {};
}

}  // namespace tidegate::script
