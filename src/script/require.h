// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "script/generation.h"
#include "script/lua.h"

namespace tidegate::script {

/// Adds `require` to the environment on top of the stack. A module is loaded once per environment
/// and lives in it. `generation` outlives the VM's scripts.
void add_require(lua_State* L, const Generation& generation);

}  // namespace tidegate::script
