// SPDX-License-Identifier: Apache-2.0
#include "script/require.h"

#include "script/vm.h"

namespace tidegate::script {
namespace {

enum Upvalue : int { kGeneration = 1, kLoaded, kEnvironment };

bool is_module_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name.front() == '/' || name.front() == '.') return false;
  if (name.find("..") != std::string_view::npos) return false;
  for (const char c : name) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-' || c == '.' || c == '/';
    if (!fine) return false;
  }
  return true;
}

constexpr size_t kMaxMessage = 1024;

// Apart from what raises Lua errors, so that no C++ object is alive then. The chunk belongs to the
// generation; nullptr: see `message`.
const Chunk* find_module(const Generation& generation, const char* name, char* message) {
  const auto chunk = generation.module(name);
  if (chunk) return chunk->get();
  message[chunk.error().copy(message, kMaxMessage - 1)] = '\0';
  return nullptr;
}

void push_module(lua_State* L, const Generation& generation, const char* name) {
  char message[kMaxMessage];
  const Chunk* chunk = find_module(generation, name, message);
  if (chunk == nullptr) luaL_error(L, "%s", message);
  const std::string& code = chunk->bytecode;
  if (luaL_loadbufferx(L, code.data(), code.size(), chunk->name.c_str(), "b") != 0) lua_error(L);
}

int require(lua_State* L) {
  Vm::of(L).check_stack(L);
  size_t size;
  const char* name = luaL_checklstring(L, 1, &size);
  lua_settop(L, 1);
  if (!is_module_name({name, size})) return luaL_error(L, "not a module name: '%s'", name);
  lua_getfield(L, lua_upvalueindex(kLoaded), name);
  if (lua_islightuserdata(L, -1)) return luaL_error(L, "module '%s' requires itself", name);
  if (!lua_isnil(L, -1)) return 1;
  const auto& generation =
      *static_cast<const Generation*>(lua_touserdata(L, lua_upvalueindex(kGeneration)));
  push_module(L, generation, name);
  lua_pushvalue(L, lua_upvalueindex(kEnvironment));
  lua_setfenv(L, -2);
  lua_pushlightuserdata(L, Vm::wait_mark());  // loading
  lua_setfield(L, lua_upvalueindex(kLoaded), name);
  lua_pushvalue(L, 1);
  const int status = lua_pcall(L, 1, 1, 0);
  if (status != 0 || lua_isnil(L, -1)) {
    lua_pushnil(L);
    if (status == 0) lua_pushboolean(L, 1);
    lua_setfield(L, lua_upvalueindex(kLoaded), name);
    if (status != 0) return lua_error(L);
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, lua_upvalueindex(kLoaded), name);
  return 1;
}

}  // namespace

void add_require(lua_State* L, const Generation& generation) {
  lua_pushlightuserdata(L, const_cast<Generation*>(&generation));
  lua_newtable(L);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, require, 3);
  lua_setfield(L, -2, "require");
}

}  // namespace tidegate::script
