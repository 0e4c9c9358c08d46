// SPDX-License-Identifier: Apache-2.0
#include "script/loaded_script.h"

#include <algorithm>
#include <array>
#include <utility>

#include "script/api.h"
#include "script/ticks.h"

namespace tidegate::script {
namespace {

// Policies that share a VM are alike in these (Scripts::group); were they not, the strictest holds.
Vm::Limits limits_of(const Generation& generation) {
  Vm::Limits limits{.memory = SIZE_MAX, .jit = true};
  for (const config::Policy& policy : generation.policies()) {
    limits.memory = std::min<size_t>(limits.memory, policy.budget.memory);
    limits.jit &= policy.jit;
    limits.finalizers |= policy.trusted;
  }
  return limits;
}

constexpr std::array<std::string_view, static_cast<size_t>(proxy::Hook::Count_)> kHookNames{
    "on_request", "select_backend", "on_response", "on_error", "on_log"};

}  // namespace

LoadedScript::LoadedScript(std::shared_ptr<const Generation> generation, Watch& watch,
                           telemetry::Shard& shard, Slices* slices, unsigned worker)
    : generation_(std::move(generation)),
      slices_(slices),
      worker_(worker),
      vm_(watch, limits_of(*generation_), generation_->main().name),
      names_(vm_.state()) {
  vm_.owner = this;
  make_metatables();
  add_api(vm_.state(), worker);
  for (const config::Policy& policy : generation_->policies()) {
    filters_.emplace_back(*this, policy, generation_->number(),
                          telemetry::PolicyMetrics(shard, policy.name, kHookNames));
  }
}

LoadedScript::~LoadedScript() {
  vm_.close();
}

void LoadedScript::make_metatables() {
  lua_State* L = vm_.state();
  set_light_metatable(L);
  for (const auto& [kind, fill] : {std::pair(HandleKind::Cluster, &fill_cluster),
                                   std::pair(HandleKind::Endpoint, &fill_endpoint),
                                   std::pair(HandleKind::Breaker, &fill_breaker)}) {
    lua_newtable(L);
    fill(L);
    lua_pushstring(L, to_string(kind));
    lua_setfield(L, -2, "__metatable");
    metatables_[static_cast<size_t>(kind)] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
}

std::vector<std::string> LoadedScript::load() {
  std::vector<std::string> errors;
  for (ScriptFilter& filter : filters_) {
    std::string error = filter.load();
    // Policies that share the script mostly share its errors.
    if (error.empty() || std::find(errors.begin(), errors.end(), error) != errors.end()) continue;
    errors.push_back(std::move(error));
  }
  return errors;
}

bool LoadedScript::load_some(Duration most, std::vector<std::string>& errors) {
  const uint64_t begin = ticks();
  const auto over = [&] {
    return static_cast<double>(ticks() - begin) * nanoseconds_per_tick() >
           static_cast<double>(most.count());
  };
  while (loaded_ < filters_.size()) {
    std::string error;
    if (!filters_[loaded_].load_some(true, error)) return false;
    if (!error.empty()) {
      filters_[loaded_].break_down();
      errors.push_back(std::move(error));
    }
    ++loaded_;
    if (over()) break;
  }
  return loaded_ == filters_.size();
}

ScriptFilter* LoadedScript::find(std::string_view policy) {
  for (ScriptFilter& filter : filters_) {
    if (filter.name() == policy) return &filter;
  }
  return nullptr;
}

bool LoadedScript::unused() const {
  return std::all_of(filters_.begin(), filters_.end(),
                     [](const ScriptFilter& filter) { return filter.users == 0; });
}

void LoadedScript::collect() {
  if (collecting_) return;
  collecting_ = true;
  collection_ticks_ = 0;
  short_of_memory_ = vm_.short_of_memory();
  slices_->schedule(*this);
}

void LoadedScript::note_memory_breach() {
  breached_ = true;
  vm_.collect_anew();
  collect();
}

Duration LoadedScript::collection_took() const {
  return Duration(
      static_cast<int64_t>(static_cast<double>(collection_ticks_) * nanoseconds_per_tick()));
}

bool LoadedScript::wait_for_collection(ParkedRun& run) {
  waiting_.push_back(run);
  collect();
  return !marking_;
}

void LoadedScript::work(Duration most) {
  marking_ = true;
  const uint64_t begin = ticks();
  const bool ended = vm_.collect(most);
  collection_ticks_ += ticks() - begin;
  if (!ended) return slices_->schedule(*this);
  collecting_ = short_of_memory_ = marking_ = false;
  // What the runs hold that fail below is still in use: the next collection judges them.
  const bool breached = std::exchange(breached_, false);
  const bool full = is_full_for_good();
  // What asks again waits for the next collection. So does who comes behind a run that fails here:
  // its memory may be all they need.
  List<ParkedRun> ready;
  while (!waiting_.empty()) ready.push_back(waiting_.pop_front());
  while (!ready.empty() && !breached_) ready.pop_front().collected();
  while (!ready.empty()) waiting_.push_back(ready.pop_front());
  if (breached && full && on_hopeless) on_hopeless(*this);
}

// Of what a collection has left, the runs under way may hold the most; so they have the benefit of
// the doubt for some collections.
bool LoadedScript::is_full_for_good() {
  if (!vm_.hopeless()) {
    found_full_ = 0;
    return false;
  }
  const bool idle =
      std::ranges::none_of(calls_, [](const HookCall& call) { return call.thread_ != nullptr; });
  return ++found_full_ >= kFullInARow || idle;
}

HookCall& LoadedScript::take_call() {
  if (idle_calls_.empty()) return calls_.emplace_back(*this);
  HookCall* call = idle_calls_.back();
  idle_calls_.pop_back();
  return *call;
}

}  // namespace tidegate::script
