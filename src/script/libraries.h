// SPDX-License-Identifier: Apache-2.0
// The parts of Lua's standard library that are written here, because the originals can run long
// without a chance to interrupt them, or nest without bound. Each function adds its own to the
// table on top of the stack, over the originals that stand there.
#pragma once
#include <string_view>

#include "script/lua.h"

namespace tidegate::script {

void add_string_library(lua_State* L);  // find match gmatch gsub rep upper lower reverse format
void add_table_library(lua_State* L);   // concat insert sort
void add_os_library(lua_State* L);      // date
/// Why the compiler, which cannot be interrupted, must not be given that text while requests wait;
/// nullptr: it may.
const char* too_much_to_compile(std::string_view text);
/// load and loadstring: text only, in the environment at `environment`.
void add_load(lua_State* L, int environment);

}  // namespace tidegate::script
