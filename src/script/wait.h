// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "script/vm.h"

namespace tidegate::script {

/// What a C function that waits yields, behind the mark; HookCall does the waiting.
enum class Wait : int { Sleep, RequestBody, ResponseBody };

/// Raises where `L` stands inside a C function that calls back (table.sort, tostring, ...), through
/// which no wait can pass; the error names that function.
void check_may_wait(lua_State* L);

/// The last act of a C function that waits. `arguments`: how many values on top of the stack go
/// with it. What the host resumes with is what the function returns to the script.
inline int yield_wait(lua_State* L, Wait wait, int arguments) {
  check_may_wait(L);
  lua_pushlightuserdata(L, Vm::wait_mark());
  lua_pushinteger(L, static_cast<lua_Integer>(wait));
  lua_insert(L, -2 - arguments);
  lua_insert(L, -2 - arguments);
  return lua_yield(L, arguments + 2);
}

}  // namespace tidegate::script
