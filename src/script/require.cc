// SPDX-License-Identifier: Apache-2.0
#include "script/require.h"

#include "script/loaded_script.h"
#include "script/sandbox.h"
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

// As luaL_error, but with the place of the script's call, not of the glue's.
int raise(lua_State* L, const char* format, const char* what) {
  lua_pushstring(L, Vm::of(L).place_of(L).c_str());
  lua_pushfstring(L, format, what);
  lua_concat(L, 2);
  return lua_error(L);
}

// Apart from what raises Lua errors, so that no C++ object is alive then. The chunk belongs to the
// generation; nullptr: see `message`.
const Chunk* find_module(const Generation& generation, const char* name, bool in_hook,
                         char* message) {
  const auto chunk = generation.module(name, in_hook);
  if (chunk) return chunk->get();
  message[chunk.error().copy(message, kMaxMessage - 1)] = '\0';
  return nullptr;
}

void push_module(lua_State* L, const Generation& generation, const char* name, bool in_hook) {
  char message[kMaxMessage];
  const Chunk* chunk = find_module(generation, name, in_hook, message);
  if (chunk == nullptr) raise(L, "%s", message);
  const std::string& code = chunk->bytecode;
  if (luaL_loadbufferx(L, code.data(), code.size(), chunk->name.c_str(), "b") != 0) lua_error(L);
}

// keep(name, ok, result): the module, which is remembered; or the error is raised.
int keep(lua_State* L) {
  lua_settop(L, 3);
  const char* name = lua_tostring(L, 1);
  if (lua_toboolean(L, 2) == 0) {
    lua_pushnil(L);
    lua_setfield(L, lua_upvalueindex(kLoaded), name);
    return lua_error(L);
  }
  if (lua_isnil(L, 3)) {
    lua_pushboolean(L, 1);
    lua_replace(L, 3);
  }
  lua_pushvalue(L, 3);
  lua_setfield(L, lua_upvalueindex(kLoaded), name);
  return 1;
}

// Runs the chunk on top of the stack, whole: nothing in it can be sliced or wait, so nobody meets
// the mark of a module that loads, and no end of the run leaves it.
int run_whole(lua_State* L) {
  lua_pushvalue(L, 1);
  const int status = lua_pcall(L, 1, 1, 0);
  lua_pushboolean(L, status == 0);
  lua_insert(L, -2);
  return keep(L);
}

// require(name): the module's chunk, to be run; or nil and the module, which a hook is given at
// once.
int find(lua_State* L) {
  Vm::of(L).check_stack(L);
  size_t size;
  const char* name = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : nullptr;
  if (name == nullptr) {
    return raise(L, "bad argument #1 to 'require' (string expected, got %s)", luaL_typename(L, 1));
  }
  lua_settop(L, 1);
  if (!is_module_name({name, size})) return raise(L, "not a module name: '%s'", name);
  lua_getfield(L, lua_upvalueindex(kLoaded), name);
  if (lua_islightuserdata(L, -1)) return raise(L, "module '%s' requires itself", name);
  if (!lua_isnil(L, -1)) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  lua_pop(L, 1);
  const auto& generation =
      *static_cast<const Generation*>(lua_touserdata(L, lua_upvalueindex(kGeneration)));
  const bool in_hook = LoadedScript::of(L).running_call != nullptr;
  push_module(L, generation, name, in_hook);
  lua_pushvalue(L, lua_upvalueindex(kEnvironment));
  lua_setfenv(L, -2);
  lua_pushlightuserdata(L, Vm::wait_mark());  // loading
  lua_setfield(L, lua_upvalueindex(kLoaded), name);
  if (!in_hook) return 1;
  run_whole(L);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

}  // namespace

void add_require(lua_State* L, const Generation& generation) {
  const int environment = lua_gettop(L);
  lua_newtable(L);  // of modules
  const int loaded = lua_gettop(L);
  push_require_maker(L);
  for (lua_CFunction function : {find, keep}) {
    lua_pushlightuserdata(L, const_cast<Generation*>(&generation));
    lua_pushvalue(L, loaded);
    lua_pushvalue(L, environment);
    lua_pushcclosure(L, function, 3);
  }
  lua_call(L, 2, 1);
  lua_setfield(L, environment, "require");
  lua_settop(L, environment);
}

}  // namespace tidegate::script
