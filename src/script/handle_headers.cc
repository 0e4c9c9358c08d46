// SPDX-License-Identifier: Apache-2.0
// The handles of headers and trailers: h.name, h["name"] = value, h:all(name), h:add(name, value),
// h:each(), h:count().
#include <algorithm>

#include "base/strings.h"
#include "http/headers.h"
#include "script/fields.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"
#include "script/values.h"

namespace tidegate::script {
namespace {

// Far above what a peer accepts; bounds what a loop in a script can pile up.
constexpr size_t kMaxFields = 1000;

constexpr ApiFunction kAll{"headers:all", true};
constexpr ApiFunction kAdd{"headers:add", true};

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
  if (headers == nullptr) raise(L, "there is no response");
  return *headers;
}

// Of a method: headers or trailers of either side.
struct Self {
  HookCall& call;
  HandleKind kind;
  http::Headers& headers;
};

Self check_headers(lua_State* L) {
  HookCall* call = nullptr;
  const HandleKind kind = read_light(L, 1, call);
  switch (kind) {
    case HandleKind::RequestHeaders:
    case HandleKind::RequestTrailers:
    case HandleKind::ResponseHeaders:
    case HandleKind::ResponseTrailers:
      return {*call, kind, headers_of(L, *call, kind)};
    default:
      raise(L, "headers expected; call its functions with a colon, as in headers:all(name)");
  }
}

void check_writable(lua_State* L, const HookCall& call, HandleKind kind) {
  if (!call.may_write(kind)) [[unlikely]]
    raise_unwritable(L, kind, Field::None, call.hook());
}

void check_room(lua_State* L, const http::Headers& headers) {
  if (headers.size() >= kMaxFields) [[unlikely]] {
    raise(L, "a message cannot have more than %d headers", static_cast<int>(kMaxFields));
  }
}

// The name at `index`, to read by; nullptr: a longer one than is worth keeping.
const HeaderName* name_at(lua_State* L, int index, const HookCall& call) {
  Names& names = call.script().names();
  const HeaderName* known = names.known_header(L, index);
  return known != nullptr ? known : names.learn_header(L, index);
}

std::string_view text_at(lua_State* L, int index) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  return {text, size};
}

[[gnu::always_inline]] inline const HeaderName& settable_name(lua_State* L, int index,
                                                              HookCall& call, HandleKind kind) {
  const HeaderName* name = call.script().names().known_header(L, index);
  if (name == nullptr) [[unlikely]] {
    if (lua_type(L, index) != LUA_TSTRING) {
      raise(L, "the name of a header must be a string, not a %s", luaL_typename(L, index));
    }
    name = &call.header_name(L, index);
  }
  const bool trailers = kind == HandleKind::RequestTrailers || kind == HandleKind::ResponseTrailers;
  if (!name->token || name->framing || trailers) [[unlikely]] {
    check_field_name(L, *name, trailers ? Section::Trailers : Section::Head);
  }
  return *name;
}

const http::HeaderField* find_field(const http::Headers& headers, const HeaderName& name) {
  return headers.find(name.id, name.name);
}

const http::HeaderField* find_field(const http::Headers& headers, std::string_view name) {
  const auto* const field =
      std::find_if(headers.begin(), headers.end(),
                   [name](const http::HeaderField& one) { return iequals(one.name(), name); });
  return field == headers.end() ? nullptr : field;
}

bool same_name(const http::HeaderField& field, const HeaderName& name) {
  return name.id != http::HeaderId::Other
             ? field.id() == name.id
             : field.id() == http::HeaderId::Other && field.name() == name.name;
}

int headers_all(lua_State* L) {
  const Self self = check_headers(L);
  if (lua_type(L, 2) != LUA_TSTRING) raise_argument(L, kAll, 2, "string");
  const HeaderName* name = name_at(L, 2, self.call);
  const std::string_view text = text_at(L, 2);
  lua_newtable(L);
  int count = 0;
  for (const http::HeaderField& field : self.headers) {
    if (name != nullptr ? !same_name(field, *name) : !iequals(field.name(), text)) continue;
    lua_pushlstring(L, field.value_data, field.value_size);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

int headers_add(lua_State* L) {
  const Self self = check_headers(L);
  check_writable(L, self.call, self.kind);
  if (lua_type(L, 2) != LUA_TSTRING) raise_argument(L, kAdd, 2, "string");
  const HeaderName& name = settable_name(L, 2, self.call, self.kind);
  check_room(L, self.headers);
  if (name.id == http::HeaderId::Host && self.headers.has(name.id)) {
    raise(L, "a request has one host: assign it instead of adding one");
  }
  size_t size = 0;
  const char* text = lua_tolstring(L, 3, &size);
  const std::string_view value = field_value(L, 3, {text, size}, name, self.call.arena());
  self.headers.add(name.id, name.name, self.call.keep(L, value));
  return 0;
}

// The fields as they were when the loop began, so that it may change them. The texts stand in the
// exchange's arena.
struct Snapshot {
  uint64_t number;  // of the HookCall
  size_t next;
  size_t count;  // of those that follow it

  http::HeaderField* fields() { return reinterpret_cast<http::HeaderField*>(this + 1); }
};

int each_next(lua_State* L) {
  auto* snapshot = static_cast<Snapshot*>(lua_touserdata(L, lua_upvalueindex(1)));
  const HookCall& call = check_headers(L).call;
  if (snapshot->number != call.number()) raise(L, "headers:each() of another exchange");
  if (snapshot->next == snapshot->count) return 0;
  const http::HeaderField& field = snapshot->fields()[snapshot->next++];
  lua_pushlstring(L, field.name_data, field.name_size);
  lua_pushlstring(L, field.value_data, field.value_size);
  return 2;
}

int headers_each(lua_State* L) {
  const Self self = check_headers(L);
  const size_t count = self.headers.size();
  const size_t bytes = sizeof(Snapshot) + count * sizeof(http::HeaderField);
  auto* snapshot = static_cast<Snapshot*>(lua_newuserdata(L, bytes));
  *snapshot = {self.call.number(), 0, count};
  std::copy(self.headers.begin(), self.headers.end(), snapshot->fields());
  lua_pushcclosure(L, each_next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

int headers_count(lua_State* L) {
  lua_pushinteger(L, static_cast<lua_Integer>(check_headers(L).headers.size()));
  return 1;
}

}  // namespace

int index_headers(lua_State* L, HookCall& call, HandleKind kind) {
  const HeaderName* name = call.script().names().known_header(L, 2);
  const http::HeaderField* field;
  if (name == nullptr) {
    if (lua_type(L, 2) != LUA_TSTRING) return 0;
    name = call.script().names().learn_header(L, 2);
  }
  if (name != nullptr) [[likely]] {
    if (name->method != 0) {
      lua_pushvalue(L, lua_upvalueindex(kHeadersAll - 1 + name->method));
      return 1;
    }
    field = find_field(headers_of(L, call, kind), *name);
  } else {
    field = find_field(headers_of(L, call, kind), text_at(L, 2));
  }
  if (field == nullptr) return 0;
  lua_pushlstring(L, field->value_data, field->value_size);
  return 1;
}

namespace {

int remove_header(lua_State* L, const HookCall& call, http::Headers& headers) {
  const HeaderName* name = call.script().names().known_header(L, 2);
  if (name == nullptr) {
    if (lua_type(L, 2) != LUA_TSTRING) {
      raise(L, "the name of a header must be a string, not a %s", luaL_typename(L, 2));
    }
    name = call.script().names().learn_header(L, 2);
  }
  if (name != nullptr) [[likely]] {
    headers.remove(name->id, name->name);
    return 0;
  }
  const std::string_view text = text_at(L, 2);
  headers.remove_if([text](const http::HeaderField& f) { return iequals(f.name(), text); });
  return 0;
}

}  // namespace

int set_header(lua_State* L, HookCall& call, HandleKind kind) {
  check_writable(L, call, kind);
  http::Headers& headers = headers_of(L, call, kind);
  size_t size = 0;
  const char* text = lua_tolstring(L, 3, &size);
  if (text == nullptr && lua_isnil(L, 3)) return remove_header(L, call, headers);
  const HeaderName& name = settable_name(L, 2, call, kind);
  check_room(L, headers);
  const std::string_view value = field_value(L, 3, {text, size}, name, call.arena());
  headers.set(name.id, name.name, call.keep(L, value));
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
  if (lua_type(L, 2) != LUA_TSTRING) raise(L, "the name of a var must be a string");
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
      raise(L, "a var can be a string, a number, a boolean or nil, not a %s", luaL_typename(L, 3));
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

void forget_body_digests(http::Headers& headers) {
  for (const std::string_view name : {"content-digest", "content-md5", "digest", "repr-digest"}) {
    headers.remove(name);
  }
}

}  // namespace tidegate::script
