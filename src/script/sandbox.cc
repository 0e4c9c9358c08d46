// SPDX-License-Identifier: Apache-2.0
#include "script/sandbox.h"

#include <cstring>
#include <iterator>
#include <random>
#include <string_view>

#include "embedded/script.h"
#include "script/api.h"
#include "script/libraries.h"
#include "script/vm.h"
#include "script/wait.h"

namespace tidegate::script {
namespace {

// Addresses are the registry's keys.
const char kHostThreads = 0;
const char kLibraryTables = 0;
const char kRequireMaker = 0;

constexpr const char* kGlobalFunctions[] = {
    "assert",   "error",    "getmetatable", "ipairs",   "next",         "pairs",
    "pcall",    "rawequal", "rawget",       "select",   "setmetatable", "tonumber",
    "tostring", "type",     "unpack",       "_VERSION", "xpcall",       "collectgarbage"};

struct LibraryFunctions {
  const char* library;
  const char* const* names;  // up to nullptr
};
constexpr const char* kString[] = {"byte",   "char",    "find", "format", "gfind",
                                   "gmatch", "gsub",    "len",  "lower",  "match",
                                   "rep",    "reverse", "sub",  "upper",  nullptr};
constexpr const char* kTable[] = {"concat", "foreach", "foreachi", "getn", "insert", "maxn",
                                  "move",   "pack",    "remove",   "sort", "unpack", nullptr};
constexpr const char* kMath[] = {"abs",   "acos", "asin",  "atan",   "atan2",      "ceil",  "cos",
                                 "cosh",  "deg",  "exp",   "floor",  "fmod",       "frexp", "huge",
                                 "ldexp", "log",  "log10", "max",    "min",        "mod",   "modf",
                                 "pi",    "pow",  "rad",   "random", "randomseed", "sin",   "sinh",
                                 "sqrt",  "tan",  "tanh",  nullptr};
constexpr const char* kBit[] = {"arshift", "band", "bnot",   "bor",   "bswap", "bxor", "lshift",
                                "rol",     "ror",  "rshift", "tobit", "tohex", nullptr};
constexpr const char* kOs[] = {"clock", "date", "time", nullptr};
constexpr const char* kCoroutine[] = {"create", "resume", "running", "status",
                                      "wrap",   "yield",  nullptr};
constexpr LibraryFunctions kLibraries[] = {{"string", kString}, {"table", kTable},
                                           {"math", kMath},     {"bit", kBit},
                                           {"os", kOs},         {"coroutine", kCoroutine}};

void push_registry(lua_State* L, const char& key) {
  lua_pushlightuserdata(L, const_cast<char*>(&key));
  lua_rawget(L, LUA_REGISTRYINDEX);
}

void new_registry_table(lua_State* L, const char& key) {
  lua_pushlightuserdata(L, const_cast<char*>(&key));
  lua_newtable(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

int check_stack(lua_State* L) {
  Vm& vm = Vm::of(L);
  vm.check(L);
  vm.check_stack(L);
  return 0;
}

// true: a slice of the host's that is to be passed on; false: one that cannot be; nil: no slice.
int pass_slice_on(lua_State* L) {
  switch (Vm::of(L).pass_on(L)) {
    case Vm::PassOn::Not:
      return 0;
    case Vm::PassOn::Yield:
      lua_pushboolean(L, 1);
      return 1;
    case Vm::PassOn::GoOn:
      lua_pushboolean(L, 0);
      return 1;
  }
  return 0;
}

int check_wait(lua_State* L) {
  check_may_wait(L);
  return 0;
}

// Collections are the budget's business; a script may look, and may ask in vain.
int collect_garbage(lua_State* L) {
  const char* what = luaL_optstring(L, 1, "collect");
  if (std::strcmp(what, "count") == 0) {
    lua_pushnumber(L, static_cast<double>(Vm::of(L).memory_used()) / 1024.0);
  } else {
    lua_pushinteger(L, 0);
  }
  return 1;
}

// Runs lua/coroutine.lua: the table of coroutine functions into the globals, and xpcall.
void open_coroutines(lua_State* L) {
  if (luaL_loadbuffer(L, kCoroutineLua.data(), kCoroutineLua.size(), "=[tidegate]") != 0) {
    lua_error(L);  // it is part of the binary: this can not happen
  }
  lua_getglobal(L, "coroutine");
  lua_pushlightuserdata(L, Vm::wait_mark());
  push_host_threads(L);
  lua_pushcfunction(L, check_stack);
  lua_pushcfunction(L, pass_slice_on);
  lua_pushcfunction(L, check_wait);
  lua_call(L, 6, 3);
  lua_pushlightuserdata(L, const_cast<char*>(&kRequireMaker));
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  lua_setglobal(L, "xpcall");
  lua_setglobal(L, "coroutine");
}

// `""`'s metatable: methods out of reach, itself hidden.
void lock_strings(lua_State* L) {
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_newtable(L);
  lua_getglobal(L, "string");
  for (const char* const* name = kString; *name != nullptr; ++name) {
    lua_getfield(L, -1, *name);
    lua_setfield(L, -3, *name);
  }
  lua_pop(L, 1);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

void seed_random(lua_State* L) {
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  lua_pushnumber(L, std::random_device{}());
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

int refuse_write(lua_State* L) {
  return luaL_error(L, "attempt to change a read-only table");
}

// The table on top of the stack is replaced by an empty one that reads from it, down to the tables
// of functions in it. A new one each time: rawset and table.insert could write to a shared one.
void lock_table(lua_State* L) {
  lua_newtable(L);
  lua_createtable(L, 0, 3);
  lua_newtable(L);  // what is read: a copy, where there are tables in it
  bool nested = false;
  lua_pushnil(L);
  while (lua_next(L, -5) != 0) {
    if (lua_istable(L, -1)) {
      nested = true;
      lock_table(L);
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  if (!nested) {
    lua_pop(L, 1);
    lua_pushvalue(L, -3);
  }
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, refuse_write);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}

// As the original, but not for tables that hide their metatable.
int raw_set(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  if (luaL_getmetafield(L, 1, "__metatable") != 0) {
    if (lua_isboolean(L, -1) && lua_toboolean(L, -1) == 0) return refuse_write(L);
    lua_pop(L, 1);
  }
  lua_rawset(L, 1);
  return 1;
}

// Registry table of the real library tables: of the functions that a sandbox has.
void collect_libraries(lua_State* L) {
  new_registry_table(L, kLibraryTables);
  push_registry(L, kLibraryTables);
  for (const LibraryFunctions& library : kLibraries) {
    lua_getglobal(L, library.library);
    lua_newtable(L);
    for (const char* const* name = library.names; *name != nullptr; ++name) {
      lua_getfield(L, -2, *name);
      lua_setfield(L, -2, *name);
    }
    lua_setfield(L, -3, library.library);
    lua_pop(L, 1);
  }
  lua_newtable(L);
  lua_setfield(L, -2, "proxy");
  lua_pop(L, 1);
}

// A shallow copy of the table on top of the stack takes its place.
void copy_table(lua_State* L) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3) != 0) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

// All globals into the environment on top of the stack; the libraries as copies.
void fill_trusted(lua_State* L) {
  lua_pushvalue(L, LUA_GLOBALSINDEX);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    if (lua_istable(L, -1) && !lua_rawequal(L, -1, -3)) copy_table(L);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

// Of the function on top of the stack; a tail call leaves no other trace of it. nullptr: none of
// the libraries'.
const char* library_name(lua_State* L) {
  push_registry(L, kLibraryTables);
  for (const LibraryFunctions& library : kLibraries) {
    lua_getfield(L, -1, library.library);
    for (const char* const* name = library.names; *name != nullptr; ++name) {
      lua_getfield(L, -1, *name);
      const bool found = lua_rawequal(L, -1, -4) != 0;
      lua_pop(L, 1);
      if (!found) continue;
      lua_pop(L, 2);
      return *name;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return nullptr;
}

void fill_sandbox(lua_State* L) {
  for (const char* name : kGlobalFunctions) {
    lua_getglobal(L, name);
    lua_setfield(L, -2, name);
  }
  lua_pushcfunction(L, raw_set);
  lua_setfield(L, -2, "rawset");
  push_registry(L, kLibraryTables);
  for (const LibraryFunctions& library : kLibraries) {
    lua_getfield(L, -1, library.library);
    lock_table(L);
    lua_setfield(L, -3, library.library);
  }
  lua_pop(L, 1);
}

}  // namespace

void check_may_wait(lua_State* L) {
  if (lua_isyieldable(L) != 0) return;
  lua_Debug activation;
  for (int level = 1; level < kMaxLevels && lua_getstack(L, level, &activation) == 1; ++level) {
    lua_getinfo(L, "Snf", &activation);
    const bool in_c = std::strcmp(activation.what, "C") == 0;
    const char* name = in_c ? library_name(L) : nullptr;
    if (name == nullptr && in_c) name = activation.name;
    lua_pop(L, 1);
    // A wait passes through pcall.
    if (name == nullptr || std::strcmp(name, "pcall") == 0) continue;
    lua_pushstring(L, Vm::of(L).place_of(L).c_str());
    lua_pushfstring(L, "cannot wait inside a function that '%s' calls", name);
    lua_concat(L, 2);
    lua_error(L);
  }
  luaL_error(L, "cannot wait here");
}

void push_host_threads(lua_State* L) {
  push_registry(L, kHostThreads);
}

void push_require_maker(lua_State* L) {
  push_registry(L, kRequireMaker);
}

void push_proxy_table(lua_State* L) {
  push_registry(L, kLibraryTables);
  lua_getfield(L, -1, "proxy");
  lua_remove(L, -2);
}

void open_libraries(lua_State* L) {
  luaL_openlibs(L);
  new_registry_table(L, kHostThreads);
  seed_random(L);
  lua_getglobal(L, "string");
  add_string_library(L);
  lua_getglobal(L, "table");
  add_table_library(L);
  lua_getglobal(L, "os");
  add_os_library(L);
  lua_pop(L, 3);
  lua_pushcfunction(L, collect_garbage);
  lua_setglobal(L, "collectgarbage");
  open_coroutines(L);
  lock_strings(L);
  collect_libraries(L);
}

void push_environment(lua_State* L, bool trusted) {
  lua_newtable(L);
  trusted ? fill_trusted(L) : fill_sandbox(L);
  add_load(L, -1);
  push_proxy_table(L);
  lock_table(L);
  lua_getmetatable(L, -1);
  lua_getfield(L, -1, "__index");
  refuse_unknown_fields(L);
  lua_pop(L, 2);
  lua_setfield(L, -2, "proxy");
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "_G");
}

}  // namespace tidegate::script
