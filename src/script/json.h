// SPDX-License-Identifier: Apache-2.0
// JSON for scripts, written here and not taken from lua-cjson: that one keeps its buffers outside
// of the VM's memory budget and can not be interrupted.
//
//   null <-> proxy.json.null · arrays <-> tables 1..n (an empty one that came from JSON, or from
//   proxy.json.array, stays an array) · objects <-> tables · numbers are doubles: an integer that
//   a double cannot hold is a fault, or a string where that is asked for
#pragma once
#include <string_view>

#include "script/arguments.h"
#include "script/lua.h"

namespace tidegate::script {

/// Pushes the value that the text stands for; null is nil then, and what is no JSON too. For texts
/// of the proxy's own.
void push_json(lua_State* L, std::string_view text);

/// json.encode as a function of Lua.
int encode_json(lua_State* L);

/// The text of a field of the table of options at `index`; empty: there is no table, or no field.
/// Good as long as the table stands on the stack.
std::string_view text_option(lua_State* L, ApiFunction function, int index, const char* name);

constexpr int kMaxJsonDepth = 100;
/// Pushes the metatable of tables that are arrays, however empty.
void push_array_mark(lua_State* L);

/// json.decode, json.encode, json.array and json.null into the table on top of the stack.
void add_json(lua_State* L);

}  // namespace tidegate::script
