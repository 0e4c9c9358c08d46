// SPDX-License-Identifier: Apache-2.0
// The handle `response`.
#include <cmath>

#include "script/arguments.h"
#include "script/fields.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"
#include "script/wait.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kSetBody{"response:set_body", true};

http::ResponseHead& check_response(lua_State* L, const HookCall& call) {
  http::ResponseHead* response = call.exchange().response();
  if (response == nullptr) raise(L, "there is no response");
  return *response;
}

void push_endpoint_of(lua_State* L, HookCall& call) {
  const upstream::Member* member = call.exchange().member();
  if (member == nullptr) return lua_pushnil(L);
  push_endpoint(L, call, *call.exchange().cluster(), *member);
}

void check_callable(lua_State* L, const HookCall& call, Field method) {
  if (may_read(HandleKind::Response, method, call.hook())) return;
  raise_unreadable(L, HandleKind::Response, method, call.hook());
}

int response_body(lua_State* L) {
  check_self(L, HandleKind::Response);
  return yield_wait(L, Wait::ResponseBody, 0);
}

int response_set_body(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Response);
  http::ResponseHead& response = check_response(L, call);
  check_callable(L, call, Field::SetBody);
  call.set_response_body(call.keep(L, text_argument(L, kSetBody, 2)));
  // At once, since the body takes effect when the hook ends, and the script may set its own until
  // then.
  response.headers.remove(http::HeaderId::ETag);
  forget_body_digests(response.headers);
  return 0;
}

int response_retry(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Response);
  check_response(L, call);
  check_callable(L, call, Field::Retry);
  lua_pushboolean(L, call.retry() ? 1 : 0);
  return 1;
}

}  // namespace

int index_response(lua_State* L, HookCall& call) {
  const http::ResponseHead& response = check_response(L, call);
  const Field field = field_of(L, call);
  switch (field) {
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
      push_method(L, call, kResponseBody);
      break;
    case Field::SetBody:
      push_method(L, call, kResponseSetBody);
      break;
    case Field::Retry:
      push_method(L, call, kResponseRetry);
      break;
    default:
      raise_unreadable(L, HandleKind::Response, field, call.hook());
  }
  return 1;
}

int set_response_field(lua_State* L, HookCall& call) {
  http::ResponseHead& response = check_response(L, call);
  const Field field = field_of(L, call);
  if (!may_write(HandleKind::Response, field, call.hook())) {
    raise_unwritable(L, HandleKind::Response, field, call.hook());
  }
  if (response.opens_tunnel()) raise(L, "the status of a tunnel cannot change");
  const lua_Number status = lua_type(L, 3) == LUA_TNUMBER ? lua_tonumber(L, 3) : 0;
  const bool was_bodiless =
      response.status == 204 || response.status == 304 || response.status < 200;
  const bool is_bodiless = status == 204 || status == 304;
  if (!(status >= 200 && status <= 599) || status != std::floor(status)) {
    raise(L, "response.status must be a whole number from 200 to 599");
  }
  if (was_bodiless != is_bodiless) {
    raise(L, "a response with status %d cannot get status %d: only one of them has a body",
          static_cast<int>(response.status), static_cast<int>(status));
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
