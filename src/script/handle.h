// SPDX-License-Identifier: Apache-2.0
// The Lua objects that stand for parts of an exchange. A handle holds no pointer into the exchange,
// but names the HookCall it belongs to and the sequence number that it had; when the exchange ends
// the number changes and every later use of the handle raises.
//
// Handles of the parts that every exchange has are light userdata: numbers, which cost no memory
// and no collection, so that a hook that edits headers allocates nothing. Those of a cluster and of
// its endpoints, which need a pointer too, are full userdata.
//
//   light:   10 │ kind: 3 bits │ slot of the HookCall: 16 bits │ sequence, its low 18 bits
//
// So a handle that a script kept would come alive again only for an exchange that stands in the
// same slot 262,144 exchanges later.
#pragma once
#include <cstdint>

#include "proxy/exchange.h"
#include "script/lua.h"

namespace tidegate::script {

class HookCall;
class LoadedScript;

enum class HandleKind : uint8_t {
  Request,
  RequestHeaders,
  RequestTrailers,
  Vars,
  Response,
  ResponseHeaders,
  ResponseTrailers,
  Cluster,  // the first whose handle is a full userdata
  Endpoint,
  Breaker,  // of an endpoint
  Count_
};
constexpr size_t kHandleKinds = static_cast<size_t>(HandleKind::Count_);
const char* to_string(HandleKind kind);

struct Handle {
  static constexpr uint32_t kMagic = 0x7469646e;
  uint32_t magic;
  HandleKind kind;
  uint64_t sequence;
  HookCall* call;
  void* target;  // Cluster: upstream::Cluster; Endpoint and Breaker: upstream::Endpoint
  const upstream::EndpointSettings* settings;  // of an endpoint; pinned as the endpoint is
};

/// All names of fields and methods of handles; looked up by the address of the interned string.
enum class Field : uint8_t {
  None,
  // request
  Method,
  Scheme,
  Host,
  Path,
  Query,
  Args,
  Version,
  Id,
  Route,
  Cluster,
  Attempt,
  Tried,
  LastFailure,
  ClientIp,
  ClientPort,
  Tls,
  Headers,
  Trailers,
  Vars,
  Timeout,
  Body,
  SetBody,
  Reply,
  Redirect,
  // response
  Status,
  FromOrigin,
  Endpoint,
  Attempts,
  Duration,
  Retry,
  // cluster and endpoint
  Name,
  Endpoints,
  Healthy,
  Breaker,
  Pick,
  Request,
  HealthCheck,
  SetEndpoints,
  Address,
  Weight,
  Tags,
  Available,
  Active,
  Latency,
  // breaker
  State,
  Failures,
  Reset,
  Count_
};

/// A light handle without its kind.
uintptr_t light_handle(uint32_t slot, uint64_t sequence);

constexpr uint64_t kLightSequence = (uint64_t{1} << 18) - 1;
constexpr uint32_t kLightSlots = uint32_t{1} << 16;

/// The call that a handle belongs to. Raises if its exchange has ended.
HookCall& live_call(lua_State* L, const Handle& handle);
/// Of a method: whatever the script passed. Raises unless it is a live handle of that kind.
HookCall& check_self(lua_State* L, HandleKind kind);
/// False: what stands at `index` is no light handle.
bool read_light(lua_State* L, int index, Handle& to);
/// The full handle at `index`, or nullptr.
const Handle* to_handle(lua_State* L, int index);
/// Of a metamethod of a full handle: its first argument is one for sure, since no script reaches
/// metatables.
inline const Handle& full_self(lua_State* L) {
  return *static_cast<const Handle*>(lua_touserdata(L, 1));
}

void push_light(lua_State* L, const HookCall& call, HandleKind kind);
/// A cluster's or endpoint's.
void push_handle(lua_State* L, HookCall& call, HandleKind kind, void* target,
                 const upstream::EndpointSettings* settings = nullptr);

/// The field of one of `call`'s handles that the value at 2 names, or None.
Field field_of(lua_State* L, const HookCall& call);

/// The methods of light handles are upvalues of the one function that indexes them.
enum LightMethod : int {
  kRequestBody = 1,
  kRequestSetBody,
  kRequestReply,
  kRequestRedirect,
  kResponseBody,
  kResponseSetBody,
  kResponseRetry,
  kHeadersAll,
  kHeadersAdd,
  kHeadersEach,
  kHeadersCount,
};
void push_request_methods(lua_State* L);
void push_response_methods(lua_State* L);
void push_headers_methods(lua_State* L);

// Reading and writing the field that stands at 2, for each kind of light handle.
int index_request(lua_State* L, HookCall& call);
int index_response(lua_State* L, HookCall& call);
int index_headers(lua_State* L, HookCall& call, HandleKind kind);
int index_vars(lua_State* L, HookCall& call);
int set_request_field(lua_State* L, HookCall& call);
int set_response_field(lua_State* L, HookCall& call);
int set_header(lua_State* L, HookCall& call, HandleKind kind);
int set_var(lua_State* L, HookCall& call);

/// Sets the metatable that all light userdata of the VM share.
void set_light_metatable(lua_State* L);
/// Fill the metatable on top of the stack.
void fill_cluster(lua_State* L);
void fill_endpoint(lua_State* L);
void fill_breaker(lua_State* L);

/// `request:reply` and `request:redirect`, in handle_reply.cc.
int request_reply(lua_State* L);
int request_redirect(lua_State* L);

[[noreturn]] void raise_read_only(lua_State* L, const char* what);

}  // namespace tidegate::script
