// SPDX-License-Identifier: Apache-2.0
// What a script can see. Every policy has an environment of its own. The library tables in it are
// read-only: empty tables that look into the real ones, which no script can reach; nor can it reach
// the table that the strings' own methods, ("x"):upper(), come from.
#pragma once
#include "script/lua.h"

namespace tidegate::script {

/// Once per VM, before any script: opens the libraries and replaces what can not be interrupted.
void open_libraries(lua_State* L);

/// Pushes a new environment. `trusted`: with the whole standard library.
void push_environment(lua_State* L, bool trusted);

/// Pushes the table of the coroutines that belong to the host (thread -> true).
void push_host_threads(lua_State* L);

/// Pushes the real table `proxy`; what is added to it, tables of functions included, is seen in
/// every environment made later.
void push_proxy_table(lua_State* L);
/// make_require of lua/coroutine.lua.
void push_require_maker(lua_State* L);

}  // namespace tidegate::script
