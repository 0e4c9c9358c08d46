// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "config/snapshot.h"
#include "proxy/filter.h"
#include "script/lua.h"
#include "script/slices.h"
#include "telemetry/metrics.h"

namespace tidegate::script {

class LoadedScript;

/// Which errors of a policy get log lines of their own: so many texts a second.
class LoggedErrors {
 public:
  static constexpr size_t kPerSecond = 10;

  bool admit(std::string_view text, TimePoint now) {
    if (now - begin_ >= std::chrono::seconds(1)) {
      begin_ = now;
      count_ = 0;
    }
    const size_t hash = std::hash<std::string_view>{}(text);
    if (std::find(hashes_.begin(), hashes_.begin() + count_, hash) != hashes_.begin() + count_) {
      return true;
    }
    if (count_ == kPerSecond) return false;
    hashes_[count_++] = hash;
    return true;
  }

 private:
  TimePoint begin_{};
  size_t count_ = 0;
  std::array<size_t, kPerSecond> hashes_{};
};

/// A policy as the exchange sees it: its hooks in one generation of its script, in one worker.
class ScriptFilter final : public proxy::Filter {
 public:
  ScriptFilter(LoadedScript& script, const config::Policy& policy, uint64_t generation,
               const telemetry::PolicyMetrics& metrics);

  std::string_view name() const override { return policy_.name; }
  uint64_t generation() const override { return generation_; }
  proxy::HookSet hooks() const override { return hooks_; }
  proxy::Verdict run(proxy::Hook hook, proxy::FilterCall& call) override;
  void cancel_wait(proxy::FilterCall& call) override;
  void release(proxy::FilterCall& call) override;

  /// Runs the script's top level in an environment of the policy's own and finds its hooks. Empty:
  /// fine, else the error, which begins with file and line where there is one.
  std::string load();
  /// The same in slices: false, call it again in a later turn; true, done, and `error` says how.
  bool load_some(bool sliced, std::string& error);
  /// The script could not be loaded in this worker: every request fails as `on_error` says.
  void break_down() { hooks_ = proxy::hook_bit(proxy::Hook::Request), broken_ = true; }

  LoadedScript& script() const { return script_; }
  const config::Policy& policy() const { return policy_; }
  const telemetry::PolicyMetrics& metrics() const { return metrics_; }
  double nanoseconds_per_tick() const { return nanoseconds_per_tick_; }
  /// Pushes the function.
  void push_hook(lua_State* L, proxy::Hook hook) const {
    lua_rawgeti(L, LUA_REGISTRYINDEX, hook_references_[static_cast<size_t>(hook)]);
  }
  /// Some hook other than `hook` may want the handles again.
  bool has_other_hooks(proxy::Hook hook) const { return (hooks_ & ~proxy::hook_bit(hook)) != 0; }

  /// Bytes that its scripts make the proxy hold for the exchanges under way: texts they have set,
  /// bodies they have read.
  size_t held = 0;

  SliceShare& share() { return share_; }
  LoggedErrors& logged_errors() { return logged_errors_; }

  uint32_t users = 0;  // chains that hold it; counted by the WorkerScripts

 private:
  /// The script can not run: what `on_error` says.
  proxy::Verdict refuse(proxy::FilterCall& call, std::string_view why) const;
  void push_new_environment(lua_State* L);
  std::string begin_top_level(lua_State* L);
  bool run_top_level(bool sliced, std::string& error);
  std::string find_hooks(lua_State* L);
  std::string find_lost_hook(lua_State* L) const;

  LoadedScript& script_;
  const config::Policy& policy_;  // of the generation
  const uint64_t generation_;
  const telemetry::PolicyMetrics metrics_;
  const double nanoseconds_per_tick_;
  proxy::HookSet hooks_ = 0;
  proxy::HookSet returned_hooks_ = 0;  // in the table that the top level returned
  bool broken_ = false;
  SliceShare share_;
  LoggedErrors logged_errors_;
  // While the top level runs.
  lua_State* loading_ = nullptr;
  int environment_ = LUA_NOREF;
  Duration load_budget_{};
  Duration load_left_{};
  bool collecting_ = false;
  std::array<int, static_cast<size_t>(proxy::Hook::Count_)> hook_references_;
};

}  // namespace tidegate::script
