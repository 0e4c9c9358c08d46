// SPDX-License-Identifier: Apache-2.0
#include "script/handle.h"

#include "script/hook_call.h"
#include "script/loaded_script.h"

namespace tidegate::script {
namespace {

constexpr int kSlotShift = 18;
constexpr int kKindShift = 34;
constexpr int kTagShift = 37;
// LuaJIT keeps the low 39 bits of a light userdata as they are; no object of the process has an
// address with these on top.
constexpr uintptr_t kTag = 2;
constexpr uintptr_t kKindBits = uintptr_t{7} << kKindShift;

HandleKind kind_of(uintptr_t bits) {
  return static_cast<HandleKind>((bits & kKindBits) >> kKindShift);
}

}  // namespace

uintptr_t light_handle(uint32_t slot, uint64_t sequence) {
  return kTag << kTagShift | uintptr_t{slot} << kSlotShift | (sequence & kLightSequence);
}

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
    case HandleKind::Breaker:
      return "breaker";
    case HandleKind::Count_:
      break;
  }
  return "";
}

HookCall& live_call(lua_State* L, const Handle& handle) {
  uint64_t now = handle.call->sequence();
  if (handle.kind < HandleKind::Cluster) now &= kLightSequence;
  if (now != handle.sequence) [[unlikely]] {
    luaL_error(L, "%s used after its exchange has ended", to_string(handle.kind));
  }
  return *handle.call;
}

bool read_light(lua_State* L, int index, Handle& to) {
  const auto bits = reinterpret_cast<uintptr_t>(lua_touserdata(L, index));
  HookCall* const running = HookCall::running;
  if (bits >> kTagShift != kTag || running == nullptr) return false;
  to.kind = kind_of(bits);
  to.sequence = bits & kLightSequence;
  // Almost always it is the running exchange's own.
  const auto slot = static_cast<uint32_t>(bits >> kSlotShift & (kLightSlots - 1));
  to.call = slot == running->slot() ? running : &running->script().call_at(slot);
  return true;
}

const Handle* to_handle(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TUSERDATA || lua_objlen(L, index) != sizeof(Handle)) return nullptr;
  const auto* handle = static_cast<const Handle*>(lua_touserdata(L, index));
  return handle->magic == Handle::kMagic ? handle : nullptr;
}

HookCall& check_self(lua_State* L, HandleKind kind) {
  Handle light;
  const Handle* handle = nullptr;
  if (kind >= HandleKind::Cluster) {
    handle = to_handle(L, 1);
  } else if (lua_islightuserdata(L, 1) && read_light(L, 1, light)) {
    handle = &light;
  }
  if (handle == nullptr || handle->kind != kind) {
    luaL_error(L, "%s expected; call its functions with a colon, as in %s:name(...)",
               to_string(kind), to_string(kind));
  }
  return live_call(L, *handle);
}

Field field_of(lua_State* L, const HookCall& call) {
  return call.script().names().field(L, 2);
}

void raise_read_only(lua_State* L, const char* what) {
  luaL_error(L, "%s.%s can not be set", what, luaL_checkstring(L, 2));
  __builtin_unreachable();
}

void push_light(lua_State* L, const HookCall& call, HandleKind kind) {
  const uintptr_t bits = call.light() | static_cast<uintptr_t>(kind) << kKindShift;
  lua_pushlightuserdata(L, reinterpret_cast<void*>(bits));
}

void push_handle(lua_State* L, HookCall& call, HandleKind kind, void* target,
                 const upstream::EndpointSettings* settings) {
  auto* handle = static_cast<Handle*>(lua_newuserdata(L, sizeof(Handle)));
  *handle = {Handle::kMagic, kind, call.sequence(), &call, target, settings};
  call.script().push_metatable(L, kind);
  lua_setmetatable(L, -2);
}

namespace {

// Of a metamethod: light userdata that is no handle (proxy.json.null) has none of its fields.
[[gnu::always_inline]] inline HookCall& light_self(lua_State* L, HandleKind& kind) {
  const auto bits = reinterpret_cast<uintptr_t>(lua_touserdata(L, 1));
  HookCall* const running = HookCall::running;
  if (running != nullptr && (bits & ~kKindBits) == running->light()) [[likely]] {
    kind = kind_of(bits);
    return *running;
  }
  Handle handle;
  if (!read_light(L, 1, handle)) luaL_error(L, "attempt to index a userdata value");
  kind = handle.kind;
  return live_call(L, handle);
}

int light_index(lua_State* L) {
  HandleKind kind;
  HookCall& call = light_self(L, kind);
  switch (kind) {
    case HandleKind::Request:
      return index_request(L, call);
    case HandleKind::Response:
      return index_response(L, call);
    case HandleKind::Vars:
      return index_vars(L, call);
    default:
      return index_headers(L, call, kind);
  }
}

int light_newindex(lua_State* L) {
  HandleKind kind;
  HookCall& call = light_self(L, kind);
  switch (kind) {
    case HandleKind::Request:
      return set_request_field(L, call);
    case HandleKind::Response:
      return set_response_field(L, call);
    case HandleKind::Vars:
      return set_var(L, call);
    default:
      return set_header(L, call, kind);
  }
}

}  // namespace

void set_light_metatable(lua_State* L) {
  lua_pushlightuserdata(L, nullptr);
  lua_newtable(L);
  push_request_methods(L);
  push_response_methods(L);
  push_headers_methods(L);
  lua_pushcclosure(L, light_index, kHeadersCount);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, light_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushliteral(L, "handle");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

}  // namespace tidegate::script
