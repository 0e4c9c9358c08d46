// SPDX-License-Identifier: Apache-2.0
// The handle `request.args`: a view of the query, whose parameters it decodes and encodes. Reading
// and writing go over the query each time; it is short.
#include <utility>

#include "script/arguments.h"
#include "script/buffer.h"
#include "script/codecs.h"
#include "script/fields.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"
#include "script/values.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kAll{"request.args:all", true};
constexpr ApiFunction kAdd{"request.args:add", true};

std::string_view query_of(const HookCall& call) {
  return call.exchange().request().query;
}

// Takes the first parameter off the front of `query`; empty ones are passed over. False: none.
bool take_pair(std::string_view& query, std::string_view& pair) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (!pair.empty()) return true;
  }
  return false;
}

std::string_view name_of_pair(std::string_view pair) {
  return pair.substr(0, pair.find('='));
}

void push_value(lua_State* L, std::string_view pair) {
  const size_t equals = pair.find('=');
  push_url_decoded(
      L, equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
}

bool is_named(lua_State* L, std::string_view pair, std::string_view name) {
  const std::string_view raw = name_of_pair(pair);
  if (raw.find_first_of("%+") == std::string_view::npos) return raw == name;
  push_url_decoded(L, raw, true);
  size_t size;
  const char* text = lua_tolstring(L, -1, &size);
  const bool same = std::string_view(text, size) == name;
  lua_pop(L, 1);
  return same;
}

HookCall& check_args(lua_State* L) {
  return check_self(L, HandleKind::Args);
}

void append_pair(lua_State* L, Buffer& query, std::string_view name, std::string_view value) {
  if (query.size() > 0) query.append('&');
  append_url_encoded(L, query, name);
  query.append('=');
  append_url_encoded(L, query, value);
  check_query_size(L, query.size());
}

std::string_view value_at(lua_State* L, int index) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  if (text == nullptr) {
    raise(L, "the value of a query parameter must be a string, a number or nil, not a %s",
          luaL_typename(L, index));
  }
  check_query_size(L, size);
  return {text, size};
}

void check_writable(lua_State* L, const HookCall& call) {
  if (!may_write(HandleKind::Args, Field::None, call.hook())) {
    raise_unwritable(L, HandleKind::Args, Field::None, call.hook());
  }
}

int args_all(lua_State* L) {
  const HookCall& call = check_args(L);
  const std::string_view name = text_argument(L, kAll, 2);
  std::string_view query = query_of(call);
  std::string_view pair;
  lua_newtable(L);
  for (int count = 0; take_pair(query, pair);) {
    Vm::of(L).check(L);
    if (!is_named(L, pair, name)) continue;
    push_value(L, pair);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

int args_add(lua_State* L) {
  HookCall& call = check_args(L);
  check_writable(L, call);
  const std::string_view name = text_argument(L, kAdd, 2);
  const std::string_view value = value_at(L, 3);
  Buffer query(L);
  query.append(query_of(call));
  append_pair(L, query, name, value);
  set_target(L, call, call.exchange().request().path, true, query.view());
  return 0;
}

// Over the query as it was when the loop began; upvalues: it, and how much of it is left.
int each_next(lua_State* L) {
  check_args(L);
  size_t size;
  const char* text = lua_tolstring(L, lua_upvalueindex(1), &size);
  const auto left = static_cast<size_t>(lua_tointeger(L, lua_upvalueindex(2)));
  std::string_view query = std::string_view(text, size).substr(size - left);
  std::string_view pair;
  const bool found = take_pair(query, pair);
  lua_pushinteger(L, static_cast<lua_Integer>(query.size()));
  lua_replace(L, lua_upvalueindex(2));
  if (!found) return 0;
  push_url_decoded(L, name_of_pair(pair), true);
  push_value(L, pair);
  return 2;
}

int args_each(lua_State* L) {
  const std::string_view query = query_of(check_args(L));
  lua_pushlstring(L, query.data(), query.size());
  lua_pushinteger(L, static_cast<lua_Integer>(query.size()));
  lua_pushcclosure(L, each_next, 2);
  lua_pushvalue(L, 1);
  return 2;
}

int args_count(lua_State* L) {
  std::string_view query = query_of(check_args(L));
  std::string_view pair;
  lua_Integer count = 0;
  while (take_pair(query, pair)) ++count;
  lua_pushinteger(L, count);
  return 1;
}

}  // namespace

int index_args(lua_State* L, HookCall& call) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const HeaderName* known = call.script().names().known_header(L, 2);
  if (known != nullptr && known->method != 0) {
    lua_pushvalue(L, lua_upvalueindex(kArgsAll - 1 + known->method));
    return 1;
  }
  size_t size;
  const char* name = lua_tolstring(L, 2, &size);
  std::string_view query = query_of(call);
  std::string_view pair;
  while (take_pair(query, pair)) {
    Vm::of(L).check(L);
    if (!is_named(L, pair, {name, size})) continue;
    push_value(L, pair);
    return 1;
  }
  return 0;
}

int set_arg(lua_State* L, HookCall& call) {
  check_writable(L, call);
  if (lua_type(L, 2) != LUA_TSTRING) raise(L, "the name of a query parameter must be a string");
  size_t size;
  const char* text = lua_tolstring(L, 2, &size);
  const std::string_view name(text, size);
  const bool removes = lua_isnil(L, 3);
  const std::string_view value = removes ? std::string_view() : value_at(L, 3);
  Buffer query(L);
  bool placed = removes;
  std::string_view rest = query_of(call);
  std::string_view pair;
  while (take_pair(rest, pair)) {
    Vm::of(L).check(L);
    if (!is_named(L, pair, name)) {
      if (query.size() > 0) query.append('&');
      query.append(pair);
    } else if (!std::exchange(placed, true)) {
      append_pair(L, query, name, value);
    }
  }
  if (!placed) append_pair(L, query, name, value);
  set_target(L, call, call.exchange().request().path, query.size() > 0, query.view());
  return 0;
}

void push_args_methods(lua_State* L) {
  lua_pushcfunction(L, args_all);
  lua_pushcfunction(L, args_add);
  lua_pushcfunction(L, args_each);
  lua_pushcfunction(L, args_count);
}

}  // namespace tidegate::script
