// SPDX-License-Identifier: Apache-2.0
#include "script/arguments.h"
#include "script/buffer.h"
#include "script/chunk_cost.h"
#include "script/libraries.h"

namespace tidegate::script {
namespace {

// The compiler cannot be interrupted, so what it is given is bounded: to about 4 ms.
constexpr size_t kMaxChunk = 64 * 1024;
constexpr size_t kNanosecondsPerByte = 50;
// Where the jumps stand is not looked at, so all of them may lead to one place.
constexpr size_t kMaxJumps = 1000;
constexpr size_t kMaxComparisons = 1'000'000;  // of a nanosecond each
constexpr size_t kMaxDepth = 200;
constexpr const char* kTooLarge = "chunk too large: more than 64 KiB";

const char* too_complex(const ChunkCost& cost) {
  if (cost.jumps > kMaxJumps) return "chunk too complex: more than 1,000 branches";
  if (cost.depth > kMaxDepth) return "chunk too complex: blocks nested too deeply";
  if (cost.comparisons > kMaxComparisons) {
    return "chunk too complex: too many names where many local variables are in sight";
  }
  return nullptr;
}

// os.date, whose time grows with the format.
int date(lua_State* L) {
  constexpr size_t kMaxFormat = 1024;
  if (lua_type(L, 1) == LUA_TSTRING && lua_objlen(L, 1) > kMaxFormat) {
    return luaL_argerror(L, 1, "format too long");
  }
  const int arguments = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  call_original(L, "date", arguments, 1);
  return 1;
}

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
    lua_pushstring(L, kTooLarge);
    return fail(L);
  }
  const ChunkCost cost = cost_of_chunk(text);
  if (const char* why = too_complex(cost); why != nullptr) {
    lua_pushstring(L, why);
    return fail(L);
  }
  // A thousand short chunks are as long as a large one.
  Vm::of(L).charge(static_cast<uint32_t>(text.size() * kNanosecondsPerByte + cost.comparisons));
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

const char* too_much_to_compile(std::string_view text) {
  return text.size() > kMaxChunk ? kTooLarge : too_complex(cost_of_chunk(text));
}

void add_os_library(lua_State* L) {
  lua_getfield(L, -1, "date");
  lua_pushcclosure(L, date, 1);
  lua_setfield(L, -2, "date");
}

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
