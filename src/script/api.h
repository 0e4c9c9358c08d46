// SPDX-License-Identifier: Apache-2.0
// The table `proxy`. Each function below adds its part to the table on top of the stack.
#pragma once
#include "script/lua.h"

namespace tidegate::script {

/// Once per VM, before its environments are made.
void add_api(lua_State* L, unsigned worker);

void add_log_api(lua_State* L);     // log
void add_time_api(lua_State* L);    // now sleep
void add_codec_api(lua_State* L);   // base64 base64url hex url
void add_random_api(lua_State* L);  // uuid random_bytes secure_equals
void add_ip_api(lua_State* L);      // ip
void add_config_api(lua_State* L);  // cluster clusters routes env
void add_limit_api(lua_State* L);   // limit
/// Reading a name that the table on top of the stack does not have raises, and says which is
/// nearest, or that this version has it not yet.
void refuse_unknown_fields(lua_State* L);

}  // namespace tidegate::script
