// SPDX-License-Identifier: Apache-2.0
#include "script/buffer.h"
#include "script/libraries.h"

namespace tidegate::script {
namespace {

// The compiler can not be interrupted, so what it is given is bounded.
constexpr size_t kMaxChunk = 256 * 1024;

int fail(lua_State* L) {
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

// Compiles; the function on the stack, or nil and a message. `environment`: index of a table.
int compile(lua_State* L, std::string_view text, const char* name, int environment) {
  if (!text.empty() && text.front() == '\x1b') {
    lua_pushliteral(L, "bytecode is not allowed");
    return fail(L);
  }
  if (text.size() > kMaxChunk) {
    lua_pushliteral(L, "chunk too large");
    return fail(L);
  }
  if (luaL_loadbufferx(L, text.data(), text.size(), name, "t") != 0) return fail(L);
  lua_pushvalue(L, environment);
  lua_setfenv(L, -2);
  return 1;
}

// Collects what the reader function at 1 gives, until nil or an empty string.
void read_all(lua_State* L, Buffer& to) {
  Vm& vm = Vm::of(L);
  while (true) {
    vm.check(L);
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) break;
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "reader function must return a string");
    if (lua_objlen(L, -1) == 0) break;
    to.append_top();
    if (to.size() > kMaxChunk) return;
  }
  lua_pop(L, 1);
}

// load(chunk, name, mode, environment). Upvalue 1: the policy's environment.
int load(lua_State* L) {
  Vm::of(L).check_stack(L);
  lua_settop(L, 4);
  const int type = lua_type(L, 1);
  int environment = lua_upvalueindex(1);
  if (!lua_isnil(L, 4)) {
    luaL_checktype(L, 4, LUA_TTABLE);
    environment = 4;
  }
  if (type == LUA_TSTRING) {
    size_t size;
    const char* text = lua_tolstring(L, 1, &size);
    return compile(L, {text, size}, luaL_optstring(L, 2, text), environment);
  }
  luaL_checktype(L, 1, LUA_TFUNCTION);
  Buffer text(L);
  read_all(L, text);
  return compile(L, text.view(), luaL_optstring(L, 2, "=(load)"), environment);
}

int load_string(lua_State* L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 2);
  return load(L);
}

}  // namespace

void add_load(lua_State* L, int environment) {
  if (environment < 0) environment += lua_gettop(L) + 1;
  lua_pushvalue(L, environment);
  lua_pushcclosure(L, load, 1);
  lua_setfield(L, -2, "load");
  lua_pushvalue(L, environment);
  lua_pushcclosure(L, load_string, 1);
  lua_setfield(L, -2, "loadstring");
}

}  // namespace tidegate::script
