// SPDX-License-Identifier: Apache-2.0
// Errors of API functions, and the checks of their arguments. In place of luaL_error, luaL_argerror
// and luaL_check*: those give no place where the function was called last thing in another
// (`return request:reply(…)`) or through pcall, call it '?' then, and count `self`.
#pragma once
#include <cstddef>
#include <string_view>

#include "script/lua.h"

namespace tidegate::script {

/// A function of the API, as messages name it.
struct ApiFunction {
  const char* name;     // "request:reply"
  bool method = false;  // its first argument is not the author's
};

/// Raises with "file:line: " of the innermost function that is the script's. `format` as of
/// lua_pushfstring: %s %d %f %%.
[[noreturn]] void raise(lua_State* L, const char* format, ...);

/// "bad argument #1 to 'request:reply' (a status expected, got string)"; `index` counts self.
[[noreturn]] void raise_argument(lua_State* L, ApiFunction function, int index,
                                 const char* expected);

/// A string, or a number as a string. The view is good as long as the argument stands on the stack.
std::string_view text_argument(lua_State* L, ApiFunction function, int index);
/// The same, or empty where the argument is nil or was left out.
std::string_view optional_text(lua_State* L, ApiFunction function, int index);
lua_Number number_argument(lua_State* L, ApiFunction function, int index);
void table_argument(lua_State* L, ApiFunction function, int index);

/// lua_call of a library's original behind a function of the same name: what the original raises
/// gets the place of the script's call, and the name.
void call_original(lua_State* L, const char* name, int arguments, int results);

/// Whether a message begins with "file:line: ".
bool has_place(std::string_view message);

/// Pushes "file:line: " of the innermost function of `L` that is a script's, or "".
void push_place(lua_State* L);

}  // namespace tidegate::script
