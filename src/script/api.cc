// SPDX-License-Identifier: Apache-2.0
#include "script/api.h"

#include "script/arguments.h"
#include "script/handle.h"
#include "script/json.h"
#include "script/sandbox.h"

namespace tidegate::script {
namespace {

int not_available(lua_State* L) {
  raise(L, "proxy.%s is not available in this version", lua_tostring(L, lua_upvalueindex(1)));
}

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

void add_missing(lua_State* L, const char* field, const char* name) {
  lua_pushstring(L, name);
  lua_pushcclosure(L, not_available, 1);
  lua_setfield(L, -2, field);
}

void add_missing_table(lua_State* L, const char* table, const char* const* names) {
  lua_newtable(L);
  for (const char* const* name = names; *name != nullptr; ++name) {
    lua_pushfstring(L, "%s.%s", table, *name);
    lua_pushcclosure(L, not_available, 1);
    lua_setfield(L, -2, *name);
  }
  lua_setfield(L, -2, table);
}

}  // namespace

void add_missing_api(lua_State* L) {
  for (const char* name : {"fetch", "parallel", "spawn", "every", "store", "regex"}) {
    add_missing(L, name, name);
  }
  static constexpr const char* kHash[] = {"sha1", "sha256", "sha384", "sha512", "md5", nullptr};
  static constexpr const char* kHmac[] = {"sha1", "sha256", "sha384", "sha512", nullptr};
  static constexpr const char* kJwt[] = {"verify", nullptr};
  static constexpr const char* kMetrics[] = {"counter", "gauge", "histogram", nullptr};
  static constexpr const char* kTrace[] = {"span", nullptr};
  add_missing_table(L, "hash", kHash);
  add_missing_table(L, "hmac", kHmac);
  add_missing_table(L, "jwt", kJwt);
  add_missing_table(L, "metrics", kMetrics);
  add_missing_table(L, "trace", kTrace);
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
  add_missing_api(L);
  lua_pushliteral(L, TIDEGATE_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushinteger(L, static_cast<lua_Integer>(worker));
  lua_setfield(L, -2, "worker");
  lua_pop(L, 1);
}

}  // namespace tidegate::script
