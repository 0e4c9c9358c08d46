// SPDX-License-Identifier: Apache-2.0
// The handle `response`.
#include "script/hook_call.h"
#include "script/loaded_script.h"
#include "script/wait.h"

namespace tidegate::script {
namespace {

http::ResponseHead& check_response(lua_State* L, const HookCall& call) {
  http::ResponseHead* response = call.exchange().response();
  if (response == nullptr) luaL_error(L, "there is no response");
  return *response;
}

void push_endpoint_of(lua_State* L, HookCall& call) {
  const upstream::Member* member = call.exchange().member();
  if (member == nullptr) return lua_pushnil(L);
  push_handle(L, call, HandleKind::Endpoint, member->endpoint, member->settings.get());
}

int response_body(lua_State* L) {
  check_self(L, HandleKind::Response);
  return yield_wait(L, Wait::ResponseBody, 0);
}

int response_set_body(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Response);
  check_response(L, call);
  if (call.hook() != proxy::Hook::Response) {
    return luaL_error(L, "a response's body can be set in on_response only");
  }
  size_t size;
  const char* body = luaL_checklstring(L, 2, &size);
  call.set_response_body(call.keep(L, {body, size}));
  return 0;
}

int response_retry(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Response);
  check_response(L, call);
  if (call.hook() != proxy::Hook::Response) {
    return luaL_error(L, "response:retry can be used in on_response only");
  }
  lua_pushboolean(L, call.retry() ? 1 : 0);
  return 1;
}

}  // namespace

int index_response(lua_State* L, HookCall& call) {
  const http::ResponseHead& response = check_response(L, call);
  switch (field_of(L, call)) {
    case Field::Status:
      lua_pushinteger(L, response.status);
      break;
    case Field::Headers:
      push_light(L, call, HandleKind::ResponseHeaders);
      break;
    case Field::Trailers:
      push_light(L, call, HandleKind::ResponseTrailers);
      break;
    case Field::FromOrigin:
      lua_pushboolean(L, call.exchange().response_from_origin() ? 1 : 0);
      break;
    case Field::Endpoint:
      push_endpoint_of(L, call);
      break;
    case Field::Attempts:
      lua_pushinteger(L, static_cast<lua_Integer>(call.exchange().attempts()));
      break;
    case Field::Duration:
      lua_pushnumber(L, std::chrono::duration<double>(call.exchange().elapsed()).count());
      break;
    case Field::Body:
      lua_pushvalue(L, lua_upvalueindex(kResponseBody));
      break;
    case Field::SetBody:
      lua_pushvalue(L, lua_upvalueindex(kResponseSetBody));
      break;
    case Field::Retry:
      lua_pushvalue(L, lua_upvalueindex(kResponseRetry));
      break;
    default:
      lua_pushnil(L);
  }
  return 1;
}

int set_response_field(lua_State* L, HookCall& call) {
  http::ResponseHead& response = check_response(L, call);
  if (field_of(L, call) != Field::Status) raise_read_only(L, "response");
  if (call.hook() == proxy::Hook::Log) return luaL_error(L, "the response has been sent");
  if (response.opens_tunnel()) return luaL_error(L, "the status of a tunnel can not change");
  const lua_Number status = luaL_checknumber(L, 3);
  const bool was_bodiless =
      response.status == 204 || response.status == 304 || response.status < 200;
  const bool is_bodiless = status == 204 || status == 304;
  if (!(status >= 200 && status <= 599) || was_bodiless != is_bodiless) {
    return luaL_error(L, "a response with status %d can not get status %s",
                      static_cast<int>(response.status), lua_tostring(L, 3));
  }
  response.status = static_cast<uint16_t>(status);
  response.reason = {};
  return 0;
}

void push_response_methods(lua_State* L) {
  lua_pushcfunction(L, response_body);
  lua_pushcfunction(L, response_set_body);
  lua_pushcfunction(L, response_retry);
}

}  // namespace tidegate::script
