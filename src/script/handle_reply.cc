// SPDX-License-Identifier: Apache-2.0
// request:reply(status, body, headers) and request:redirect(url, status).
#include "base/strings.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"

namespace tidegate::script {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;
constexpr size_t kMaxReplyHeaders = 100;

void check_can_reply(lua_State* L, const HookCall& call) {
  if (call.hook() == proxy::Hook::Log || !call.exchange().can_reply()) {
    luaL_error(L, "a reply has gone already");
  }
}

uint16_t check_status(lua_State* L, int index) {
  luaL_checktype(L, index, LUA_TNUMBER);
  const lua_Number status = lua_tonumber(L, index);
  if (!(status >= 200 && status <= 599)) luaL_error(L, "a reply's status is 200 to 599");
  return static_cast<uint16_t>(status);
}

// Collects the headers of a reply in the exchange's arena.
struct ReplyHeaders {
  HookCall& call;
  Pair* pairs = nullptr;
  size_t count = 0;

  void add(lua_State* L, const HeaderName& name, std::string_view value) {
    if (count == kMaxReplyHeaders) luaL_error(L, "too many headers");
    if (pairs == nullptr) {
      Arena& arena = call.exchange().arena();
      pairs = static_cast<Pair*>(arena.allocate(sizeof(Pair) * kMaxReplyHeaders, alignof(Pair)));
    }
    pairs[count++] = {name.name, value};
  }
};

std::string_view check_value(lua_State* L, HookCall& call) {
  const int type = lua_type(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) {
    luaL_error(L, "the value of a header must be a string or a number, not a %s",
               luaL_typename(L, -1));
  }
  size_t size;
  const char* text = lua_tolstring(L, -1, &size);
  const std::string_view value(text, size);
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
    luaL_error(L, "the value of a header can not contain CR, LF or NUL");
  }
  return call.keep(L, value);
}

// One entry of the table of headers: name at -2, value, or a list of values, at -1.
void add_entry(lua_State* L, ReplyHeaders& headers) {
  HookCall& call = headers.call;
  if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "the name of a header must be a string");
  const HeaderName& name =
      call.script().names().header(L, lua_gettop(L) - 1, call.exchange().arena());
  if (!name.token) luaL_error(L, "not a header name: '%s'", lua_tostring(L, -2));
  if (name.framing) {
    luaL_error(L, "the header %s belongs to the proxy and can not be set", lua_tostring(L, -2));
  }
  if (!lua_istable(L, -1)) {
    lua_pushvalue(L, -1);  // a number becomes a text in place, and the table keeps its own
    headers.add(L, name, check_value(L, call));
    lua_pop(L, 1);
    return;
  }
  const auto length = static_cast<int>(lua_objlen(L, -1));
  for (int i = 1; i <= length; ++i) {
    lua_rawgeti(L, -1, i);
    headers.add(L, name, check_value(L, call));
    lua_pop(L, 1);
  }
}

void add_headers(lua_State* L, int index, ReplyHeaders& headers) {
  if (lua_isnoneornil(L, index)) return;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    add_entry(L, headers);
    lua_pop(L, 1);
  }
}

std::string_view optional_text(lua_State* L, int index, HookCall& call) {
  if (lua_isnoneornil(L, index)) return {};
  size_t size;
  const char* text = luaL_checklstring(L, index, &size);
  return call.keep(L, {text, size});
}

}  // namespace

int request_reply(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Request);
  check_can_reply(L, call);
  proxy::LocalReply reply;
  reply.status = check_status(L, 2);
  reply.body = optional_text(L, 3, call);
  ReplyHeaders headers{call};
  add_headers(L, 4, headers);
  reply.headers = {headers.pairs, headers.count};
  call.set_reply(reply);
  return 0;
}

int request_redirect(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Request);
  check_can_reply(L, call);
  luaL_checktype(L, 2, LUA_TSTRING);
  lua_settop(L, 3);
  proxy::LocalReply reply;
  reply.status = lua_isnil(L, 3) ? uint16_t{302} : check_status(L, 3);
  if (reply.status < 300 || reply.status > 399) {
    return luaL_error(L, "a redirect's status is 300 to 399");
  }
  ReplyHeaders headers{call};
  lua_pushliteral(L, "location");
  lua_pushvalue(L, 2);
  add_entry(L, headers);
  reply.headers = {headers.pairs, headers.count};
  call.set_reply(reply);
  return 0;
}

}  // namespace tidegate::script
