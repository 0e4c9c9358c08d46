// SPDX-License-Identifier: Apache-2.0
// The Lua objects that stand for parts of an exchange. A handle holds no pointer into the exchange,
// but names the HookCall it belongs to and the sequence number that it had; when the exchange ends
// the number changes and every later use of the handle raises.
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
  // the following are not kept from one hook to the next
  Cluster,
  Endpoint,
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
  void* target;  // Cluster: upstream::Cluster; Endpoint: upstream::Endpoint
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
  Count_
};

/// The call that the handle at `index` belongs to. Raises if its exchange has ended.
HookCall& live_call(lua_State* L, const Handle& handle);
/// Of a metamethod: its first argument is a handle for sure, since no script reaches metatables.
inline const Handle& self(lua_State* L) {
  return *static_cast<const Handle*>(lua_touserdata(L, 1));
}
/// Of a method: whatever the script passed. Raises unless it is a live handle of that kind.
HookCall& check_self(lua_State* L, HandleKind kind);
/// The handle at `index`, or nullptr.
const Handle* to_handle(lua_State* L, int index);

/// Pushes a handle of `call`; those that are kept are found again.
void push_handle(lua_State* L, HookCall& call, HandleKind kind, void* target = nullptr);

/// The field that the string at 2 names, or None.
Field field_of(lua_State* L);

/// Fills the metatable on top of the stack for its kind.
void fill_request(lua_State* L);
void fill_response(lua_State* L);
void fill_headers(lua_State* L);
void fill_vars(lua_State* L);
void fill_cluster(lua_State* L);
void fill_endpoint(lua_State* L);

/// `request:reply` and `request:redirect`, in handle_reply.cc.
int request_reply(lua_State* L);
int request_redirect(lua_State* L);

[[noreturn]] void raise_read_only(lua_State* L, const char* what);

}  // namespace tidegate::script
