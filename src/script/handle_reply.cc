// SPDX-License-Identifier: Apache-2.0
// request:reply(status, body, headers) and request:redirect(url, status).
#include <algorithm>

#include "script/fields.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"
#include "script/values.h"

namespace tidegate::script {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;
constexpr size_t kMaxReplyHeaders = 100;

constexpr ApiFunction kReply{"request:reply", true};
constexpr ApiFunction kRedirect{"request:redirect", true};

void check_can_reply(lua_State* L, const HookCall& call, Field method) {
  if (!may_read(HandleKind::Request, method, call.hook())) {
    raise_unreadable(L, HandleKind::Request, method, call.hook());
  }
  if (!call.exchange().can_reply()) raise(L, "the response has begun to go out already");
}

// Collects the headers of a reply in the exchange's arena.
struct ReplyHeaders {
  HookCall& call;
  Pair* pairs = nullptr;
  size_t count = 0;
  size_t room = 0;

  void add(lua_State* L, const HeaderName& name, std::string_view value) {
    if (count == kMaxReplyHeaders) {
      raise(L, "a reply cannot have more than %d headers", static_cast<int>(kMaxReplyHeaders));
    }
    if (count == room) grow(L);
    pairs[count++] = {name.name, value};
  }

 private:
  void grow(lua_State* L) {
    const size_t more = room == 0 ? 4 : room * 2;
    call.charge(L, more * sizeof(Pair));
    auto* const larger =
        static_cast<Pair*>(call.arena().allocate(more * sizeof(Pair), alignof(Pair)));
    std::copy(pairs, pairs + count, larger);
    pairs = larger;
    room = more;
  }
};

// Of the value on top of the stack, a copy if it is a number: turning it into a text in place would
// confuse lua_next.
void add_value(lua_State* L, ReplyHeaders& headers, const HeaderName& name) {
  size_t size = 0;
  const char* text = lua_tolstring(L, -1, &size);
  Arena& arena = headers.call.arena();
  headers.add(L, name, headers.call.keep(L, field_value(L, -1, {text, size}, name, arena)));
}

// One entry of the table of headers: name at -2, value, or a list of values, at -1.
void add_entry(lua_State* L, ReplyHeaders& headers) {
  if (lua_type(L, -2) != LUA_TSTRING) {
    raise(L, "the name of a header must be a string, not a %s", luaL_typename(L, -2));
  }
  const HeaderName& name = headers.call.header_name(L, lua_gettop(L) - 1);
  check_field_name(L, name, Section::Head);
  if (!lua_istable(L, -1)) {
    lua_pushvalue(L, -1);
    add_value(L, headers, name);
    lua_pop(L, 1);
    return;
  }
  const auto length = static_cast<int>(lua_objlen(L, -1));
  for (int i = 1; i <= length; ++i) {
    lua_rawgeti(L, -1, i);
    add_value(L, headers, name);
    lua_pop(L, 1);
  }
}

void add_headers(lua_State* L, int index, ReplyHeaders& headers) {
  if (lua_isnoneornil(L, index)) return;
  table_argument(L, kReply, index);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    add_entry(L, headers);
    lua_pop(L, 1);
  }
}

}  // namespace

int request_reply(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Request);
  check_can_reply(L, call, Field::Reply);
  proxy::LocalReply reply;
  reply.status = reply_status(L, kReply, 2);
  reply.body = call.keep(L, optional_text(L, kReply, 3));
  ReplyHeaders headers{call};
  add_headers(L, 4, headers);
  reply.headers = {headers.pairs, headers.count};
  call.set_reply(reply);
  return 0;
}

int request_redirect(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Request);
  check_can_reply(L, call, Field::Redirect);
  proxy::LocalReply reply;
  const std::string_view target = redirect_target(L, kRedirect, 2);
  reply.status = lua_isnoneornil(L, 3) ? uint16_t{302} : redirect_status(L, kRedirect, 3);
  ReplyHeaders headers{call};
  HeaderName location;
  location.name = http::name_of(http::HeaderId::Location);
  location.id = http::HeaderId::Location;
  headers.add(L, location, call.keep(L, target));
  reply.headers = {headers.pairs, headers.count};
  call.set_reply(reply);
  return 0;
}

}  // namespace tidegate::script
