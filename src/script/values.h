// SPDX-License-Identifier: Apache-2.0
// Every value that a script hands to the proxy passes here, so that all places have the same rules
// and no script can make a message that a peer must refuse. What is wrong raises, saying what.
//
// The views that come back stand on the Lua stack where the value stood; who keeps one copies it.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "base/clock.h"
#include "base/strings.h"
#include "script/arguments.h"
#include "script/names.h"

namespace tidegate::script {

/// Where a field is set.
enum class Section : uint8_t { Head, Trailers };

/// All bytes may stand in a field's value (RFC 9110 5.5): no control character but the tab.
bool is_field_value(std::string_view text);

/// Before anything is done with each of its bytes.
void check_name_size(lua_State* L, size_t size);
void check_query_size(lua_State* L, size_t size);
/// The name of a field that a script may set there.
void check_field_name(lua_State* L, const HeaderName& name, Section section);
/// `text`: what lua_tolstring gave for the value at `index`. Without the spaces around it, which
/// HTTP/1 takes off and HTTP/2 forbids. The field's own rules hold too: Host must be one.
[[gnu::always_inline]] inline std::string_view field_value(lua_State* L, int index,
                                                           std::string_view text,
                                                           const HeaderName& name, Arena& arena);
/// The same, for what needs a closer look.
std::string_view unusual_field_value(lua_State* L, int index, std::string_view text,
                                     const HeaderName& name, Arena& arena);
/// Far above what a peer accepts; bounds what a loop in a script can pile up.
inline constexpr size_t kMaxFieldValue = 64 * 1024;

/// Of a reply: 200 to 599.
uint16_t reply_status(lua_State* L, ApiFunction function, int index);
/// 301, 302, 303, 307 or 308.
uint16_t redirect_status(lua_State* L, ApiFunction function, int index);
/// An http or https URL, or a path, in its encoded form (RFC 3986).
std::string_view redirect_target(lua_State* L, ApiFunction function, int index);
std::string_view method(lua_State* L, int index);
/// In canonical form, in `arena`.
std::string_view path(lua_State* L, int index, Arena& arena);
/// Encoded, without "?".
std::string_view query(lua_State* L, int index);
/// Seconds, more than none.
Duration seconds(lua_State* L, int index, const char* what);

inline std::string_view field_value(lua_State* L, int index, std::string_view text,
                                    const HeaderName& name, Arena& arena) {
  if (text.data() != nullptr && text.size() <= kMaxFieldValue && name.id != http::HeaderId::Host)
      [[likely]] {
    const std::string_view value = trim(text);
    if (is_field_value(value)) [[likely]]
      return value;
  }
  return unusual_field_value(L, index, text, name, arena);
}

}  // namespace tidegate::script
