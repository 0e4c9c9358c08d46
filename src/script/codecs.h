// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include "script/lua.h"

namespace tidegate::script {

class Buffer;

/// Pushes `text` with its %XX decoded; what is no escape stays as it is. `plus`: '+' is a space.
void push_url_decoded(lua_State* L, std::string_view text, bool plus);

/// Appends `text` with all but the unreserved characters (RFC 3986 2.3) as %XX.
void append_url_encoded(lua_State* L, Buffer& to, std::string_view text);

}  // namespace tidegate::script
