// SPDX-License-Identifier: Apache-2.0
// The one way into LuaJIT's headers; no folder but this one includes them.
#pragma once
#include <lua.hpp>
