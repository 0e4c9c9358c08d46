// SPDX-License-Identifier: Apache-2.0
// What is to be said of a run that has ended: by an error, or with a result that its hook has not.
#pragma once
#include <string>

#include "base/clock.h"
#include "proxy/filter.h"
#include "script/lua.h"

namespace tidegate::script {

class ScriptFilter;
class Vm;

/// Of a thread that failed: the breach, or the error object as a text with file and line. A table
/// gives its __tostring, its `message` or its JSON. What that takes cannot be sliced: it may have
/// what is left of the run's `cpu`, and two milliseconds at most.
std::string describe_error(Vm& vm, lua_State* thread, Duration cpu);

/// Of a thread whose hook, one that has no result, returned what stands on its stack: what to write
/// instead; empty: nothing but nil. `asked_retry`: response:retry() gave it a boolean to return.
std::string wrong_result(lua_State* thread, proxy::Hook hook, bool asked_retry);

/// `text`, which begins with "file: " where a tail call left no trace of the line, with that of the
/// hook.
std::string with_line(const ScriptFilter& filter, proxy::Hook hook, std::string_view text);

/// A hook gets no body, since it would not fit the memory budget: a policy that looks at bodies
/// must not let it pass unnoticed. Nothing where it is the route's `max_body` that refuses it.
void log_refused_body(const ScriptFilter& filter, proxy::Hook hook,
                      const proxy::Exchange& exchange);

/// Of a thread whose select_backend returned what is no endpoint of the cluster.
std::string wrong_endpoint(lua_State* thread, std::string_view cluster);

/// Pushes "file:line: " of the hook's definition.
void push_place_of_hook(const ScriptFilter& filter, lua_State* L, proxy::Hook hook);

}  // namespace tidegate::script
