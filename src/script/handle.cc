// SPDX-License-Identifier: Apache-2.0
#include "script/handle.h"

#include "script/hook_call.h"
#include "script/loaded_script.h"

namespace tidegate::script {

const char* to_string(HandleKind kind) {
  switch (kind) {
    case HandleKind::Request:
      return "request";
    case HandleKind::RequestHeaders:
    case HandleKind::ResponseHeaders:
      return "headers";
    case HandleKind::RequestTrailers:
    case HandleKind::ResponseTrailers:
      return "trailers";
    case HandleKind::Vars:
      return "vars";
    case HandleKind::Response:
      return "response";
    case HandleKind::Cluster:
      return "cluster";
    case HandleKind::Endpoint:
      return "endpoint";
    case HandleKind::Count_:
      break;
  }
  return "";
}

HookCall& live_call(lua_State* L, const Handle& handle) {
  if (handle.call->sequence() != handle.sequence) [[unlikely]] {
    luaL_error(L, "%s used after its exchange has ended", to_string(handle.kind));
  }
  return *handle.call;
}

const Handle* to_handle(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || lua_objlen(L, index) != sizeof(Handle)) return nullptr;
  const auto* handle = static_cast<const Handle*>(lua_touserdata(L, index));
  return handle->magic == Handle::kMagic ? handle : nullptr;
}

HookCall& check_self(lua_State* L, HandleKind kind) {
  const Handle* handle = to_handle(L, 1);
  if (handle == nullptr || handle->kind != kind) {
    luaL_error(L, "%s expected; call its functions with a colon, as in %s:name(...)",
               to_string(kind), to_string(kind));
  }
  return live_call(L, *handle);
}

Field field_of(lua_State* L) {
  if (lua_type(L, 2) != LUA_TSTRING) return Field::None;
  return LoadedScript::of(L).names().field(lua_tolstring(L, 2, nullptr));
}

void raise_read_only(lua_State* L, const char* what) {
  luaL_error(L, "%s.%s can not be set", what, luaL_checkstring(L, 2));
  __builtin_unreachable();
}

void push_handle(lua_State* L, HookCall& call, HandleKind kind, void* target) {
  LoadedScript& script = call.script();
  const auto bit = uint32_t{1} << static_cast<unsigned>(kind);
  const bool keep = kind < HandleKind::Cluster;
  const auto place = static_cast<int>(call.slot() * static_cast<unsigned>(HandleKind::Cluster) +
                                      static_cast<unsigned>(kind) + 1);
  if (keep && (call.kept & bit) != 0) {
    script.push_kept(L);
    lua_rawgeti(L, -1, place);
    lua_remove(L, -2);
    return;
  }
  auto* handle = static_cast<Handle*>(lua_newuserdata(L, sizeof(Handle)));
  *handle = {Handle::kMagic, kind, call.sequence(), &call, target};
  script.push_metatable(L, kind);
  lua_setmetatable(L, -2);
  if (!keep) return;
  script.push_kept(L);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, place);
  lua_pop(L, 1);
  call.kept |= bit;
}

}  // namespace tidegate::script
