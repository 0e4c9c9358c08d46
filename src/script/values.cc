// SPDX-License-Identifier: Apache-2.0
#include "script/values.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/strings.h"
#include "http/header_table.h"
#include "http/host.h"
#include "http/path.h"

namespace tidegate::script {
namespace {

using http::HeaderId;

constexpr double kMaxSeconds = 1e6;

constexpr bool is_control(char c) {
  return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f';
}

// Some byte is below a space or is DEL. A tab counts too: it is rare.
bool may_have_control(uint64_t bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const uint64_t del = bytes ^ kOnes * 0x7f;
  return ((((bytes - kOnes * ' ') & ~bytes) | ((del - kOnes) & ~del)) & kOnes << 7) != 0;
}

bool is_field_value_slowly(std::string_view text) {
  return std::none_of(text.begin(), text.end(), is_control);
}

// "'a\1b'" would hide what is wrong with it: where it stands and what it is.
[[noreturn]] void raise_control(lua_State* L, const char* what, std::string_view text) {
  const auto at = std::find_if(text.begin(), text.end(), is_control);
  raise(L, "%s cannot contain the control character %d, which is its byte %d", what,
        static_cast<int>(static_cast<unsigned char>(*at)), static_cast<int>(at - text.begin()) + 1);
}

[[noreturn]] void raise_status(lua_State* L, ApiFunction function, int index,
                               const char* expected) {
  if (lua_type(L, index) != LUA_TNUMBER) raise_argument(L, function, index, expected);
  raise(L, "bad argument #%d to '%s' (%s expected, got %f)", index - 1, function.name, expected,
        lua_tonumber(L, index));
}

uint16_t whole_status(lua_State* L, ApiFunction function, int index, const char* expected) {
  const lua_Number status = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (!(status >= 200 && status <= 599) || status != std::floor(status)) {
    raise_status(L, function, index, expected);
  }
  return static_cast<uint16_t>(status);
}

// A path of the same host, or a URL that a browser can be sent to.
bool is_redirect_target(std::string_view target) {
  if (target.starts_with('/')) return true;
  const size_t colon = target.find("://");
  if (colon == std::string_view::npos || colon + 3 == target.size()) return false;
  const std::string_view scheme = target.substr(0, colon);
  return iequals(scheme, "http") || iequals(scheme, "https");
}

}  // namespace

bool is_field_value(std::string_view text) {
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t eight;
    std::memcpy(&eight, at, 8);
    if (may_have_control(eight)) [[unlikely]]
      return is_field_value_slowly(text);
  }
  if (left >= 4) {  // the rest as two fours that may overlap
    uint32_t halves[2];
    std::memcpy(&halves[0], at, 4);
    std::memcpy(&halves[1], at + left - 4, 4);
    return !may_have_control(uint64_t{halves[0]} << 32 | halves[1]) || is_field_value_slowly(text);
  }
  return is_field_value_slowly({at, left});
}

void check_name_size(lua_State* L, size_t size) {
  if (size <= kMaxFieldValue) return;
  raise(L, "the name of a header cannot have more than %d bytes", static_cast<int>(kMaxFieldValue));
}

void check_query_size(lua_State* L, size_t size) {
  if (size > kMaxFieldValue) raise(L, "a query of %d bytes is too long", static_cast<int>(size));
}

void check_field_name(lua_State* L, const HeaderName& name, Section section) {
  const auto text = [&] {  // ends with NUL, which a name of the arena does not
    lua_pushlstring(L, name.name.data(), std::min<size_t>(name.name.size(), 100));
    return lua_tostring(L, -1);
  };
  if (!name.token) raise(L, "not a header name: '%s'", text());
  if (name.framing) raise(L, "the header %s belongs to the proxy and cannot be set", text());
  if (section == Section::Trailers &&
      (http::traits_of(name.id, name.name) & http::kHeadOnly) != 0) {
    raise(L, "%s cannot be a trailer: it belongs into the head", text());
  }
}

std::string_view unusual_field_value(lua_State* L, int index, std::string_view text,
                                     const HeaderName& name, Arena& arena) {
  if (text.data() == nullptr) {
    raise(L, "the value of a header must be a string or a number, not a %s",
          luaL_typename(L, index));
  }
  if (text.size() > kMaxFieldValue) {
    raise(L, "the value of a header cannot have more than %d bytes",
          static_cast<int>(kMaxFieldValue));
  }
  const std::string_view value = trim(text);
  if (!is_field_value(value)) [[unlikely]]
    raise_control(L, "the value of a header", value);
  if (name.id == HeaderId::Host) [[unlikely]] {
    if (value.empty() || !http::split_authority(value, arena)) {
      raise(L, "not a host: '%s'", text.data());
    }
  }
  return value;
}

uint16_t reply_status(lua_State* L, ApiFunction function, int index) {
  return whole_status(L, function, index, "a status from 200 to 599");
}

uint16_t redirect_status(lua_State* L, ApiFunction function, int index) {
  constexpr const char* kExpected = "301, 302, 303, 307 or 308";
  const uint16_t status = whole_status(L, function, index, kExpected);
  if (status < 301 || status > 308 || (status > 303 && status < 307)) {
    raise_status(L, function, index, kExpected);
  }
  return status;
}

std::string_view redirect_target(lua_State* L, ApiFunction function, int index) {
  const std::string_view target = text_argument(L, function, index);
  if (target.size() > kMaxFieldValue) {
    raise(L, "'%s' got a target of more than %d bytes", function.name,
          static_cast<int>(kMaxFieldValue));
  }
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] > ' ' && target[i] < '\x7f') continue;
    constexpr char kHex[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(target[i]);
    const char encoded[] = {'%', kHex[byte >> 4], kHex[byte & 15], '\0'};
    raise(L,
          "'%s' got a target whose byte %d cannot stand in a URL: write %s. proxy.url.encode does "
          "it for a part of a path or query, not for a whole URL",
          function.name, static_cast<int>(i) + 1, encoded);
  }
  if (!is_redirect_target(target)) {
    raise(L,
          "'%s' got the target '%s': it must begin with http://, https:// or /. For another, reply "
          "with a location header",
          function.name, target.data());
  }
  return target;
}

std::string_view method(lua_State* L, int index) {
  size_t size;
  const char* text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &size) : nullptr;
  if (text == nullptr || size > 64 || !is_token({text, size})) {
    raise(L, "not a method: '%s'", text == nullptr ? luaL_typename(L, index) : text);
  }
  if (std::string_view(text, size) == "CONNECT") {
    raise(L, "a request cannot be made a CONNECT");
  }
  return {text, size};
}

std::string_view path(lua_State* L, int index, Arena& arena) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  if (text == nullptr) raise(L, "not a path: a %s", luaL_typename(L, index));
  if (size > kMaxFieldValue) raise(L, "a path of %d bytes is too long", static_cast<int>(size));
  const Result<http::CanonicalPath> path = http::normalise_path({text, size}, arena);
  if (!path || path->text.empty() || path->text.front() != '/') {
    raise(L, "not a path: '%s' (it begins with /, has no query, and all but ASCII is encoded)",
          text);
  }
  return path->text;
}

std::string_view query(lua_State* L, int index) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  if (text == nullptr) raise(L, "not a query: a %s", luaL_typename(L, index));
  check_query_size(L, size);
  const std::string_view query(text, size);
  for (const char c : query) {
    if (static_cast<unsigned char>(c) > ' ' && c != '\x7f' && c != '#') continue;
    raise(L, "not a query: '%s' (spaces, control characters and # must be encoded)", text);
  }
  return query;
}

Duration seconds(lua_State* L, int index, const char* what) {
  const double value = lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : 0;
  if (!(value > 0 && value < kMaxSeconds)) {
    raise(L, "%s must be a number of seconds, more than 0 and less than 1000000", what);
  }
  return std::max(Duration(1),
                  std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value)));
}

}  // namespace tidegate::script
