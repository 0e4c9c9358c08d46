// SPDX-License-Identifier: Apache-2.0
#include "script/api.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "base/strings.h"
#include "script/arguments.h"
#include "script/handle.h"
#include "script/json.h"
#include "script/sandbox.h"

namespace tidegate::script {
namespace {

// pairs and ipairs, but that a handle, which is no table, gets a word on what to write. Upvalues:
// the name, and the function that the loop calls; loops run as fast as ever.
int iterate(lua_State* L) {
  const char* const name = lua_tostring(L, lua_upvalueindex(1));
  if (!lua_istable(L, 1)) {
    HookCall* call = nullptr;
    const HandleKind kind = read_light(L, 1, call);
    if (kind != HandleKind::Count_) raise_not_a_table(L, kind, name);
    raise_argument(L, {name}, 1, "table");
  }
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushvalue(L, 1);
  name[0] == 'i' ? lua_pushinteger(L, 0) : lua_pushnil(L);
  return 3;
}

void wrap_iterator(lua_State* L, const char* name) {
  lua_pushstring(L, name);
  lua_getglobal(L, name);
  lua_newtable(L);
  lua_call(L, 1, 1);
  lua_pushcclosure(L, iterate, 2);
  lua_setglobal(L, name);
}

constexpr std::string_view kMissing[] = {"fetch", "parallel", "spawn", "every",   "store", "regex",
                                         "hash",  "hmac",     "jwt",   "metrics", "trace"};

// Of the string at 2, the key of the table at 1 that is most like it; nullptr: none is.
const char* nearest_key(lua_State* L, std::string_view text) {
  const char* best = nullptr;
  size_t distance = std::min<size_t>(3, text.size() / 2 + 1);
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    const char* name = lua_tostring(L, -2);
    const size_t d = edit_distance(text, name);
    if (d < distance) distance = d, best = name;
    lua_pop(L, 1);
  }
  return best;
}

// __index of what `proxy` reads from: a name that is not there.
int raise_unknown_function(lua_State* L) {
  if (lua_type(L, 2) != LUA_TSTRING) {
    raise(L, "proxy has no field with a key of type %s", luaL_typename(L, 2));
  }
  size_t size;
  const char* name = lua_tolstring(L, 2, &size);
  if (std::ranges::find(kMissing, std::string_view(name, size)) != std::end(kMissing)) {
    raise(L, "proxy.%s is not available in this version", name);
  }
  const char* near = nearest_key(L, {name, std::min<size_t>(size, 50)});
  if (near != nullptr) raise(L, "proxy has no field '%s'; did you mean '%s'?", name, near);
  raise(L, "proxy has no field '%s'", name);
}

}  // namespace

void refuse_unknown_fields(lua_State* L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, raise_unknown_function);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

void add_api(lua_State* L, unsigned worker) {
  wrap_iterator(L, "pairs");
  wrap_iterator(L, "ipairs");
  push_proxy_table(L);
  add_log_api(L);
  add_time_api(L);
  add_json(L);
  add_codec_api(L);
  add_random_api(L);
  add_ip_api(L);
  add_config_api(L);
  add_limit_api(L);
  lua_pushliteral(L, TIDEGATE_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushinteger(L, static_cast<lua_Integer>(worker));
  lua_setfield(L, -2, "worker");
  lua_pop(L, 1);
}

}  // namespace tidegate::script
