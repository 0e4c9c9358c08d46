// SPDX-License-Identifier: Apache-2.0
// The Lua objects that stand for parts of an exchange. A handle holds no pointer into the exchange:
// it holds the number of the HookCall it was made for, and works only while that is the one whose
// hook runs. So a handle works in every hook run of its own exchange, and raises anywhere else.
//
// Handles of the parts that every exchange has are light userdata: numbers, which cost no memory
// and no collection, so that a hook that edits headers allocates nothing. Those of a cluster and of
// its endpoints, which need a pointer too, are full userdata; they are recognised by their
// metatable, which no script can reach.
//
//   light:   10 │ kind: 3 bits │ number of the HookCall: 34 bits
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
  Args,
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

/// What a full userdata holds.
struct Handle {
  uint64_t number;
  upstream::Cluster* cluster;
  upstream::Endpoint* endpoint;                // nullptr: of a cluster
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

/// Numbers of HookCalls run up to it, then begin at 1 again.
constexpr uint64_t kMaxHandleNumber = (uint64_t{1} << 34) - 1;
/// A light handle without its kind.
uintptr_t light_handle(uint64_t number);

/// Of a method: whatever the script passed. Raises unless it is a handle of that kind and belongs
/// to the exchange whose hook runs; gives that hook's call.
HookCall& check_self(lua_State* L, HandleKind kind);
/// The kind of the light handle at `index`, if it belongs to the exchange whose hook runs, which
/// `call` is then. HandleKind::Count_: it is no light handle. Raises if it belongs to another.
HandleKind read_light(lua_State* L, int index, HookCall*& call);
/// The full handle of that kind at `index`, of whatever exchange; nullptr: it is none.
const Handle* to_handle(lua_State* L, int index, HandleKind kind);
/// The same of a metamethod or method, for its first argument; raises unless it is one of the
/// exchange whose hook runs.
const Handle& full_self(lua_State* L, HandleKind kind, HookCall*& call);

/// For `#`, pairs and ipairs on a light handle: names what to write.
[[noreturn]] void raise_not_a_table(lua_State* L, HandleKind kind, const char* function);

void push_light(lua_State* L, const HookCall& call, HandleKind kind);
void push_cluster(lua_State* L, HookCall& call, upstream::Cluster& cluster);
/// REQUIRES: the exchange pins the members of the cluster.
void push_endpoint(lua_State* L, HookCall& call, upstream::Cluster& cluster,
                   const upstream::Member& member);
/// For the kinds that are full userdata.
void push_handle(lua_State* L, HookCall& call, HandleKind kind, const Handle& handle);

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
  kArgsAll,  // in the order of the above
  kArgsAdd,
  kArgsEach,
  kArgsCount,
};
void push_request_methods(lua_State* L);
/// One of them, to be called at once: notes from where.
void push_method(lua_State* L, HookCall& call, LightMethod method);
void push_response_methods(lua_State* L);
void push_headers_methods(lua_State* L);
void push_args_methods(lua_State* L);

// Reading and writing the field that stands at 2, for each kind of light handle.
int index_request(lua_State* L, HookCall& call);
int index_response(lua_State* L, HookCall& call);
int index_headers(lua_State* L, HookCall& call, HandleKind kind);
int index_vars(lua_State* L, HookCall& call);
int index_args(lua_State* L, HookCall& call);
int set_request_field(lua_State* L, HookCall& call);
int set_response_field(lua_State* L, HookCall& call);
int set_header(lua_State* L, HookCall& call, HandleKind kind);
int set_var(lua_State* L, HookCall& call);
int set_arg(lua_State* L, HookCall& call);

/// Takes off the fields that hold a checksum of the body, which is another now.
void forget_body_digests(http::Headers& headers);

/// Path and query for the origin; checked, and copied.
void set_target(lua_State* L, HookCall& call, std::string_view path, bool has_query,
                std::string_view query);

/// Sets the metatable that all light userdata of the VM share.
void set_light_metatable(lua_State* L);
/// Fill the metatable on top of the stack.
void fill_cluster(lua_State* L);
void fill_endpoint(lua_State* L);
void fill_breaker(lua_State* L);

/// `request:reply` and `request:redirect`, in handle_reply.cc.
int request_reply(lua_State* L);
int request_redirect(lua_State* L);

}  // namespace tidegate::script
