// SPDX-License-Identifier: Apache-2.0
#include "script/buffer.h"
#include "script/libraries.h"

namespace tidegate::script {
namespace {

// The compiler cannot be interrupted, so what it is given is bounded: to about 3 ms.
constexpr size_t kMaxChunk = 64 * 1024;
constexpr size_t kNanosecondsPerByte = 50;
// It walks the list of jumps that lead to one place for each that is added. Each of these words
// makes at most one; where they stand is not looked at, so that all of them may lead to one place.
constexpr size_t kMaxJumps = 1000;
constexpr std::string_view kJumps[] = {"and", "or", "elseif", "break", "goto", "::"};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

size_t count_word(std::string_view text, std::string_view word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at)) {
    const bool begins = at == 0 || !is_letter(text[at - 1]);
    at += word.size();
    const bool ends = at == text.size() || !is_letter(text[at]);
    if (word == "::" || (begins && ends)) ++count;
  }
  return count;
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
  lua_call(L, arguments, 1);
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
  if (const char* why = too_much_to_compile(text); why != nullptr) {
    lua_pushstring(L, why);
    return fail(L);
  }
  // A thousand short chunks are as long as a large one.
  Vm::of(L).charge(static_cast<uint32_t>(text.size() * kNanosecondsPerByte));
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
  if (text.size() > kMaxChunk) return "chunk too large: more than 64 KiB";
  size_t jumps = 0;
  for (const std::string_view word : kJumps) jumps += count_word(text, word);
  return jumps > kMaxJumps ? "chunk too complex: more than 1,000 branches" : nullptr;
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
