// SPDX-License-Identifier: Apache-2.0
// What a script can see. Every policy has its own environment with its own copies of the library
// tables, so that a change it makes there reaches nobody else and a call of string.find costs no
// metamethod. The strings' own methods ("x"):upper() come from a table that no script can reach.
#pragma once
#include "script/lua.h"

namespace tidegate::script {

/// Once per VM, before any script: opens the libraries and replaces what can not be interrupted.
void open_libraries(lua_State* L);

/// Pushes a new environment. `trusted`: with the whole standard library.
void push_environment(lua_State* L, bool trusted);

/// Pushes the table of the coroutines that belong to the host (thread -> true).
void push_host_threads(lua_State* L);

/// Pushes the template of the table `proxy`; what is added to it is in every later environment.
void push_proxy_template(lua_State* L);

}  // namespace tidegate::script
