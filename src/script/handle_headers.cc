// SPDX-License-Identifier: Apache-2.0
// The handles of headers and trailers: h.name, h["name"] = value, h:all(name), h:add(name, value),
// h:each(), h:count().
#include <cstring>

#include "base/strings.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"

namespace tidegate::script {
namespace {

// Both bounds are far above what a peer accepts; they bound what a loop in a script can pile up.
constexpr size_t kMaxValue = 64 * 1024;
constexpr size_t kMaxFields = 1000;

http::Headers* find_headers(const HookCall& call, HandleKind kind) {
  proxy::Exchange& exchange = call.exchange();
  switch (kind) {
    case HandleKind::RequestHeaders:
      return &exchange.request().headers;
    case HandleKind::RequestTrailers:
      return &exchange.request().trailers;
    case HandleKind::ResponseHeaders:
      return exchange.response() == nullptr ? nullptr : &exchange.response()->headers;
    case HandleKind::ResponseTrailers:
      return exchange.response() == nullptr ? nullptr : &exchange.response()->trailers;
    default:
      return nullptr;
  }
}

http::Headers& headers_of(lua_State* L, const HookCall& call, HandleKind kind) {
  http::Headers* headers = find_headers(call, kind);
  if (headers == nullptr) luaL_error(L, "there is no response");
  return *headers;
}

// Of a method: headers or trailers of either side.
HookCall& check_headers(lua_State* L, http::Headers*& headers) {
  HookCall* call = nullptr;
  const HandleKind kind = read_light(L, 1, call);
  if (kind == HandleKind::Count_ || kind == HandleKind::Vars || kind == HandleKind::Request ||
      kind == HandleKind::Response) {
    luaL_error(L, "headers expected; call its functions with a colon, as in headers:all(name)");
  }
  headers = &headers_of(L, *call, kind);
  return *call;
}

const HeaderName& new_name_at(lua_State* L, int index, HookCall& call) {
  luaL_checktype(L, index, LUA_TSTRING);
  return call.script().names().header(L, index, call.exchange().arena());
}

[[gnu::always_inline]] inline const HeaderName& name_at(lua_State* L, int index, HookCall& call) {
  const HeaderName* known = call.script().names().known_header(L, index);
  return known != nullptr ? *known : new_name_at(L, index, call);
}

const HeaderName& settable_name(lua_State* L, int index, HookCall& call) {
  const HeaderName& name = name_at(L, index, call);
  if (!name.token) luaL_error(L, "not a header name: '%s'", lua_tostring(L, index));
  if (name.framing) {
    luaL_error(L, "the header %s belongs to the proxy and can not be set", lua_tostring(L, index));
  }
  return name;
}

// CR, LF or NUL somewhere in it; eight bytes at a time, since every header that is set passes here.
bool breaks_a_field(const char* text, size_t size) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const auto has_zero = [](uint64_t v) { return (v - kOnes) & ~v & (kOnes << 7); };
  uint64_t found = 0;
  for (; size >= 8; size -= 8, text += 8) {
    uint64_t eight;
    std::memcpy(&eight, text, 8);
    found |= has_zero(eight) | has_zero(eight ^ kOnes * '\r') | has_zero(eight ^ kOnes * '\n');
  }
  if (size >= 4) {  // the rest as two fours that may overlap
    uint32_t halves[2];
    std::memcpy(&halves[0], text, 4);
    std::memcpy(&halves[1], text + size - 4, 4);
    const uint64_t eight = uint64_t{halves[0]} << 32 | halves[1];
    found |= has_zero(eight) | has_zero(eight ^ kOnes * '\r') | has_zero(eight ^ kOnes * '\n');
    return found != 0;
  }
  for (; size > 0; --size, ++text) {
    found |= *text == '\r' || *text == '\n' || *text == '\0' ? 1 : 0;
  }
  return found != 0;
}

// The text that lua_tolstring gave for the value at `index`, as the value of a header.
std::string_view value_of(lua_State* L, int index, const char* text, size_t size, HookCall& call) {
  if (text == nullptr) {
    luaL_error(L, "the value of a header must be a string or a number, not a %s",
               luaL_typename(L, index));
  }
  if (size > kMaxValue) luaL_error(L, "the value of the header is too long");
  if (breaks_a_field(text, size)) {
    luaL_error(L, "the value of a header can not contain CR, LF or NUL");
  }
  // Spaces around a value mean nothing in HTTP/1, and break the message in HTTP/2.
  return call.keep(L, trim({text, size}));
}

const http::HeaderField* find_field(const http::Headers& headers, const HeaderName& name) {
  return headers.find(name.id, name.name);
}

bool same_name(const http::HeaderField& field, const HeaderName& name) {
  return name.id != http::HeaderId::Other
             ? field.id() == name.id
             : field.id() == http::HeaderId::Other && field.name() == name.name;
}

int headers_all(lua_State* L) {
  http::Headers* headers;
  HookCall& call = check_headers(L, headers);
  const HeaderName& name = name_at(L, 2, call);
  lua_newtable(L);
  int count = 0;
  for (const http::HeaderField& field : *headers) {
    if (!same_name(field, name)) continue;
    lua_pushlstring(L, field.value_data, field.value_size);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

int headers_add(lua_State* L) {
  http::Headers* headers;
  HookCall& call = check_headers(L, headers);
  const HeaderName& name = settable_name(L, 2, call);
  if (headers->size() >= kMaxFields) return luaL_error(L, "too many headers");
  size_t size;
  const char* text = lua_tolstring(L, 3, &size);
  headers->add(name.id, name.name, value_of(L, 3, text, size, call));
  return 0;
}

// The iterator of headers:each(); the state is the handle, the control variable a number kept in
// upvalue 1, since names repeat.
int each_next(lua_State* L) {
  http::Headers* headers;
  check_headers(L, headers);
  const auto index = static_cast<size_t>(lua_tointeger(L, lua_upvalueindex(1)));
  if (index >= headers->size()) return 0;
  const http::HeaderField& field = headers->begin()[index];
  lua_pushinteger(L, static_cast<lua_Integer>(index + 1));
  lua_replace(L, lua_upvalueindex(1));
  lua_pushlstring(L, field.name_data, field.name_size);
  lua_pushlstring(L, field.value_data, field.value_size);
  return 2;
}

int headers_each(lua_State* L) {
  http::Headers* headers;
  check_headers(L, headers);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, each_next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

int headers_count(lua_State* L) {
  http::Headers* headers;
  check_headers(L, headers);
  lua_pushinteger(L, static_cast<lua_Integer>(headers->size()));
  return 1;
}

}  // namespace

int index_headers(lua_State* L, HookCall& call, HandleKind kind) {
  Names& names = call.script().names();
  const HeaderName* known = names.known_header(L, 2);
  if (known == nullptr) {
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    known = &names.header(L, 2, call.exchange().arena());
  }
  const HeaderName& name = *known;
  if (name.method != 0) {
    lua_pushvalue(L, lua_upvalueindex(kHeadersAll - 1 + name.method));
    return 1;
  }
  const http::HeaderField* field = find_field(headers_of(L, call, kind), name);
  if (field == nullptr) return 0;
  lua_pushlstring(L, field->value_data, field->value_size);
  return 1;
}

int set_header(lua_State* L, HookCall& call, HandleKind kind) {
  http::Headers& headers = headers_of(L, call, kind);
  size_t size;
  const char* text = lua_tolstring(L, 3, &size);
  if (text == nullptr && lua_isnil(L, 3)) {
    const HeaderName& name = name_at(L, 2, call);
    headers.remove(name.id, name.name);
    return 0;
  }
  const HeaderName& name = settable_name(L, 2, call);
  if (headers.size() >= kMaxFields) return luaL_error(L, "too many headers");
  headers.set(name.id, name.name, value_of(L, 3, text, size, call));
  return 0;
}

int index_vars(lua_State* L, HookCall& call) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  size_t size;
  const char* name = lua_tolstring(L, 2, &size);
  const proxy::Vars::Value value = call.exchange().vars().get({name, size});
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    lua_pushlstring(L, text->data(), text->size());
  } else if (const auto* number = std::get_if<double>(&value)) {
    lua_pushnumber(L, *number);
  } else if (const auto* flag = std::get_if<bool>(&value)) {
    lua_pushboolean(L, *flag ? 1 : 0);
  } else {
    return 0;
  }
  return 1;
}

int set_var(lua_State* L, HookCall& call) {
  if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "the name of a var must be a string");
  size_t name_size;
  const char* name = lua_tolstring(L, 2, &name_size);
  proxy::Vars::Value value;
  switch (lua_type(L, 3)) {
    case LUA_TNIL:
      break;
    case LUA_TBOOLEAN:
      value = lua_toboolean(L, 3) != 0;
      break;
    case LUA_TNUMBER:
      value = lua_tonumber(L, 3);
      break;
    case LUA_TSTRING: {
      size_t size;
      const char* text = lua_tolstring(L, 3, &size);
      call.charge(L, size);
      value = std::string_view(text, size);
      break;
    }
    default:
      return luaL_error(L, "a var can be a string, a number, a boolean or nil, not a %s",
                        luaL_typename(L, 3));
  }
  call.charge(L, name_size + sizeof(proxy::Vars::Entry));
  call.exchange().vars().set({name, name_size}, value);
  return 0;
}

void push_headers_methods(lua_State* L) {
  lua_pushcfunction(L, headers_all);
  lua_pushcfunction(L, headers_add);
  lua_pushcfunction(L, headers_each);
  lua_pushcfunction(L, headers_count);
}

}  // namespace tidegate::script
