// SPDX-License-Identifier: Apache-2.0
#include "script/arguments.h"

#include <algorithm>
#include <cstdarg>

#include "script/hook_call.h"
#include "script/vm.h"

namespace tidegate::script {
namespace {

const char* type_at(lua_State* L, int index) {
  return lua_isnone(L, index) ? "no value" : luaL_typename(L, index);
}

}  // namespace

void push_place(lua_State* L) {
  lua_Debug activation;
  for (int level = 0; level < kMaxLevels && lua_getstack(L, level, &activation) == 1; ++level) {
    lua_getinfo(L, "Sl", &activation);
    if (activation.currentline > 0 && activation.source[0] == '@') {
      lua_pushfstring(L, "%s:%d: ", activation.short_src, activation.currentline);
      return;
    }
  }
  // A tail call has taken the place of the last of them.
  const HookCall* call = HookCall::running;
  call == nullptr ? lua_pushliteral(L, "") : call->push_last_place(L);
}

void raise(lua_State* L, const char* format, ...) {
  push_place(L);
  va_list values;
  va_start(values, format);
  lua_pushvfstring(L, format, values);
  va_end(values);
  lua_concat(L, 2);
  lua_error(L);
  __builtin_unreachable();
}

bool has_place(std::string_view message) {
  constexpr size_t kLongest = 300;  // chunk names are shorter
  message = message.substr(0, std::min(kLongest, message.find('\n')));
  for (size_t at = message.find(':'); at != std::string_view::npos; at = message.find(':', at)) {
    size_t end = ++at;
    while (end < message.size() && message[end] >= '0' && message[end] <= '9') ++end;
    if (end > at && message.substr(end).starts_with(": ")) return true;
  }
  return false;
}

void call_original(lua_State* L, const char* name, int arguments, int results) {
  const int status = lua_pcall(L, arguments, results, 0);
  if (status == 0) return;
  Vm& vm = Vm::of(L);
  if (status == LUA_ERRMEM) vm.raise_memory(L);
  if (vm.breach() != Breach::None || lua_type(L, -1) != LUA_TSTRING) lua_error(L);
  if (has_place(lua_tostring(L, -1))) lua_error(L);
  const int message = lua_gettop(L);
  push_place(L);
  lua_pushfstring(L, "to '%s'", name);
  luaL_gsub(L, lua_tostring(L, message), "to '?'", lua_tostring(L, -1));
  lua_remove(L, -2);
  lua_concat(L, 2);
  lua_error(L);
}

void raise_argument(lua_State* L, ApiFunction function, int index, const char* expected) {
  if (function.method && index == 1) {
    raise(L, "calling '%s' on a wrong self (%s expected, got %s): write it with a colon",
          function.name, expected, type_at(L, index));
  }
  raise(L, "bad argument #%d to '%s' (%s expected, got %s)", function.method ? index - 1 : index,
        function.name, expected, type_at(L, index));
}

std::string_view text_argument(lua_State* L, ApiFunction function, int index) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  if (text == nullptr) raise_argument(L, function, index, "string");
  return {text, size};
}

std::string_view optional_text(lua_State* L, ApiFunction function, int index) {
  return lua_isnoneornil(L, index) ? std::string_view() : text_argument(L, function, index);
}

lua_Number number_argument(lua_State* L, ApiFunction function, int index) {
  if (lua_isnumber(L, index) == 0) raise_argument(L, function, index, "number");
  return lua_tonumber(L, index);
}

void table_argument(lua_State* L, ApiFunction function, int index) {
  if (!lua_istable(L, index)) raise_argument(L, function, index, "table");
}

}  // namespace tidegate::script
