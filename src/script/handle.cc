// SPDX-License-Identifier: Apache-2.0
#include "script/handle.h"

#include "script/arguments.h"
#include "script/fields.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"

namespace tidegate::script {
namespace {

constexpr int kKindShift = 34;
constexpr int kTagShift = 37;
// LuaJIT keeps the low 39 bits of a light userdata as they are; no object of the process has an
// address with these on top.
constexpr uintptr_t kTag = 2;
constexpr uintptr_t kKindBits = uintptr_t{7} << kKindShift;

static_assert(kMaxHandleNumber >> kKindShift == 0);

HandleKind kind_of(uintptr_t bits) {
  return static_cast<HandleKind>((bits & kKindBits) >> kKindShift);
}

[[noreturn]] void raise_foreign(lua_State* L, HandleKind kind) {
  raise(
      L,
      "%s used outside its exchange: a handle works only in the hooks of the exchange that it was "
      "made for",
      to_string(kind));
}

[[noreturn]] void raise_wrong_self(lua_State* L, HandleKind kind) {
  raise(L, "%s expected; call its functions with a colon, as in %s:name(...)", to_string(kind),
        to_string(kind));
}

}  // namespace

uintptr_t light_handle(uint64_t number) {
  return kTag << kTagShift | number;
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
    case HandleKind::Args:
      return "args";
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

HandleKind read_light(lua_State* L, int index, HookCall*& call) {
  if (!lua_islightuserdata(L, index)) return HandleKind::Count_;
  const auto bits = reinterpret_cast<uintptr_t>(lua_touserdata(L, index));
  if (bits >> kTagShift != kTag) return HandleKind::Count_;
  call = HookCall::running;
  if (call == nullptr || (bits & ~kKindBits) != call->light()) raise_foreign(L, kind_of(bits));
  return kind_of(bits);
}

const Handle* to_handle(lua_State* L, int index, HandleKind kind) {
  if (lua_type(L, index) != LUA_TUSERDATA || lua_getmetatable(L, index) == 0) return nullptr;
  LoadedScript::of(L).push_metatable(L, kind);
  const bool is_one = lua_rawequal(L, -1, -2) != 0;
  lua_pop(L, 2);
  return is_one ? static_cast<const Handle*>(lua_touserdata(L, index)) : nullptr;
}

const Handle& full_self(lua_State* L, HandleKind kind, HookCall*& call) {
  const Handle* handle = to_handle(L, 1, kind);
  if (handle == nullptr) raise_wrong_self(L, kind);
  call = HookCall::running;
  if (call == nullptr || call->number() != handle->number) raise_foreign(L, kind);
  return *handle;
}

HookCall& check_self(lua_State* L, HandleKind kind) {
  HookCall* call = nullptr;
  if (kind >= HandleKind::Cluster) {
    full_self(L, kind, call);
  } else if (read_light(L, 1, call) != kind) {
    raise_wrong_self(L, kind);
  }
  return *call;
}

Field field_of(lua_State* L, const HookCall& call) {
  return call.script().names().field(L, 2);
}

void push_light(lua_State* L, const HookCall& call, HandleKind kind) {
  const uintptr_t bits = call.light() | static_cast<uintptr_t>(kind) << kKindShift;
  lua_pushlightuserdata(L, reinterpret_cast<void*>(bits));
}

void push_handle(lua_State* L, HookCall& call, HandleKind kind, const Handle& handle) {
  *static_cast<Handle*>(lua_newuserdata(L, sizeof(Handle))) = handle;
  call.script().push_metatable(L, kind);
  lua_setmetatable(L, -2);
}

void push_cluster(lua_State* L, HookCall& call, upstream::Cluster& cluster) {
  push_handle(L, call, HandleKind::Cluster, {call.number(), &cluster, nullptr, nullptr});
}

void push_endpoint(lua_State* L, HookCall& call, upstream::Cluster& cluster,
                   const upstream::Member& member) {
  push_handle(L, call, HandleKind::Endpoint,
              {call.number(), &cluster, member.endpoint, member.settings.get()});
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
  HookCall* call = nullptr;
  kind = read_light(L, 1, call);
  if (kind == HandleKind::Count_) raise(L, "attempt to index a userdata value");
  return *call;
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
    case HandleKind::Args:
      return index_args(L, call);
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
    case HandleKind::Args:
      return set_arg(L, call);
    default:
      return set_header(L, call, kind);
  }
}

// `#` has no place for a handle; who writes it wants to count fields.
int light_length(lua_State* L) {
  HookCall* call = nullptr;
  const HandleKind kind = read_light(L, 1, call);
  if (kind == HandleKind::Count_) raise(L, "attempt to get length of a userdata value");
  raise_not_a_table(L, kind, "#");
}

}  // namespace

void raise_not_a_table(lua_State* L, HandleKind kind, const char* function) {
  const char* path = path_of(kind);
  if (kind == HandleKind::Vars || kind == HandleKind::Request || kind == HandleKind::Response) {
    raise(L, "%s does not work on %s: read its fields by name", function, path);
  }
  raise(L, "%s does not work on %s, which is no table: write %s:%s", function, path, path,
        function[0] == '#' ? "count()" : "each()");
}

void push_method(lua_State* L, HookCall& call, LightMethod method) {
  lua_pushvalue(L, lua_upvalueindex(method));
  call.note_place(L);
}

void set_light_metatable(lua_State* L) {
  lua_pushlightuserdata(L, nullptr);
  lua_newtable(L);
  push_request_methods(L);
  push_response_methods(L);
  push_headers_methods(L);
  push_args_methods(L);
  lua_pushcclosure(L, light_index, kArgsCount);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, light_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, light_length);
  lua_setfield(L, -2, "__len");
  lua_pushliteral(L, "handle");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

}  // namespace tidegate::script
