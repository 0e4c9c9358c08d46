// SPDX-License-Identifier: Apache-2.0
// proxy.limit(name):take(key, cost): the rate limits of the configuration.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "script/api.h"
#include "script/arguments.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kLimit{"proxy.limit"};
constexpr ApiFunction kTake{"limit:take", true};

// A limit as a userdata that holds its name, so that it can be made once, at the top of a file, and
// means the configuration of each exchange. Upvalue 1 of the functions is the metatable.
std::string_view check_limit(lua_State* L) {
  const bool fine = lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1) != 0 &&
                    lua_rawequal(L, -1, lua_upvalueindex(1)) != 0;
  if (!fine) raise(L, "a limit made by proxy.limit expected: write limit:take(key)");
  lua_pop(L, 1);
  return {static_cast<const char*>(lua_touserdata(L, 1)), lua_objlen(L, 1)};
}

[[noreturn]] void raise_unknown(lua_State* L, std::string_view name) {
  lua_pushlstring(L, name.data(), name.size());
  raise(L, "no limit of the config is named '%s'", lua_tostring(L, -1));
}

proxy::LimitRuntime& find(lua_State* L, HookCall& call, std::string_view name) {
  proxy::LimitRuntime* limit = call.exchange().routes().find_limit(name);
  if (limit == nullptr) raise_unknown(L, name);
  return *limit;
}

uint64_t check_cost(lua_State* L, const proxy::NamedLimit& limit) {
  const lua_Number cost = lua_isnoneornil(L, 3) ? 1 : number_argument(L, kTake, 3);
  const auto most = static_cast<lua_Number>(limit.capacity());
  if (!(cost >= 1 && cost <= most) || cost != std::floor(cost)) {
    raise(L, "the cost must be a whole number from 1 to %d, which is all the limit has",
          static_cast<int>(limit.capacity()));
  }
  return static_cast<uint64_t>(cost);
}

// Gives: allowed, seconds until it could be allowed, what remains.
int take(lua_State* L) {
  const std::string_view name = check_limit(L);
  const std::string_view key = text_argument(L, kTake, 2);
  HookCall* call = LoadedScript::of(L).running_call;
  if (call == nullptr) raise(L, "a limit can be taken from in hooks only");
  proxy::LimitRuntime& runtime = find(L, *call, name);
  proxy::NamedLimit& limit = *runtime.limit;
  const uint64_t cost = check_cost(L, limit);
  const auto now = call->exchange().context().loop.now();
  const proxy::NamedLimit::Taken taken = limit.take(key, cost, now, true);
  if (!taken.allowed) runtime.rejected.add();
  lua_pushboolean(L, taken.allowed ? 1 : 0);
  lua_pushnumber(L, std::chrono::duration<double>(taken.retry_after).count());
  lua_pushnumber(L, static_cast<lua_Number>(taken.remaining));
  return 3;
}

// At top level: in the configuration that the script is loaded with.
void check_known(lua_State* L, std::string_view name) {
  LoadedScript& script = LoadedScript::of(L);
  if (script.running_call != nullptr) {
    find(L, *script.running_call, name);
    return;
  }
  const std::vector<std::string>& limits = script.generation().limits();
  if (std::find(limits.begin(), limits.end(), name) == limits.end()) raise_unknown(L, name);
  std::vector<std::string>& used = script.used_limits;
  if (std::find(used.begin(), used.end(), name) == used.end()) used.emplace_back(name);
}

int limit(lua_State* L) {
  const std::string_view name = text_argument(L, kLimit, 1);
  check_known(L, name);
  Vm::of(L).reserve(L, name.size());
  std::memcpy(lua_newuserdata(L, name.size()), name.data(), name.size());
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

}  // namespace

void add_limit_api(lua_State* L) {
  lua_newtable(L);  // metatable of the limits
  lua_newtable(L);  // their methods
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, take, 1);
  lua_setfield(L, -2, "take");
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "limit");
  lua_setfield(L, -2, "__metatable");
  lua_pushcclosure(L, limit, 1);
  lua_setfield(L, -2, "limit");
}

}  // namespace tidegate::script
