// SPDX-License-Identifier: Apache-2.0
// Functions that were meant for hooks and are none: misspelled, local, or returned in a table.
// Nothing would call them, so that a policy which refuses requests would let all of them pass.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/filter.h"
#include "script/lua.h"

namespace tidegate::script {

/// The hook of that name.
std::optional<proxy::Hook> hook_named(std::string_view name);

/// What is wrong with a function of that name, which is no hook's: "'on_requst' is no hook; did you
/// mean 'on_request'?". Empty: nobody would take it for a hook.
std::string fault_of_function_name(std::string_view name);

/// Of the global functions in the table at `environment`, the first that fault_of_function_name
/// objects to, with file and line; else empty. `file` is named where the function has none.
std::string find_misnamed_hook(lua_State* L, int environment, std::string_view file);

/// The hooks that are functions in the table at `index`; none if that is no table.
proxy::HookSet hooks_in_table(lua_State* L, int index);

/// A local function of a script, outside of all functions, with a hook's name.
struct LocalHook {
  proxy::Hook hook;
  int line;
};
/// `source`: text that the compiler has taken.
std::vector<LocalHook> find_local_hooks(std::string_view source);

/// "on_request, select_backend, on_response, on_error and on_log".
std::string list_of_hooks();

}  // namespace tidegate::script
