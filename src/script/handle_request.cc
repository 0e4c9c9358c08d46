// SPDX-License-Identifier: Apache-2.0
// The handle `request`.
#include <utility>

#include "base/strings.h"
#include "script/fields.h"
#include "script/hook_call.h"
#include "script/loaded_script.h"
#include "script/values.h"
#include "script/wait.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kSetBody{"request:set_body", true};

void push(lua_State* L, std::string_view text) {
  lua_pushlstring(L, text.data(), text.size());
}

std::string_view version_text(http::Version version) {
  switch (version) {
    case http::Version::Http10:
      return "1.0";
    case http::Version::Http11:
      return "1.1";
    case http::Version::Http2:
      break;
  }
  return "2";
}

// address -> true of the endpoints of earlier attempts.
void push_tried(lua_State* L, const HookCall& call) {
  lua_newtable(L);
  for (const upstream::Endpoint* endpoint : call.exchange().tried()) {
    push(L, endpoint->address);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
  }
}

void push_or_nil(lua_State* L, std::string_view text) {
  text.empty() ? lua_pushnil(L) : push(L, text);
}

void push_text_field(lua_State* L, Field field, const HookCall& call) {
  proxy::Exchange& exchange = call.exchange();
  const http::RequestHead& head = exchange.request();
  switch (field) {
    case Field::Method:
      return push(L, head.method_name);
    case Field::Scheme:
      return push(L, head.scheme);
    case Field::Host:
      return push(L, exchange.host());
    case Field::Path:
      return push(L, head.path);
    case Field::Query:
      return head.has_query ? push(L, head.query) : lua_pushnil(L);
    case Field::Version:
      return push(L, version_text(head.version));
    case Field::Id:
      return push(L, exchange.id());
    case Field::Route:
      return exchange.route() == nullptr ? lua_pushnil(L) : push(L, exchange.route()->name);
    case Field::Cluster:
      return exchange.cluster() == nullptr ? lua_pushnil(L) : push(L, exchange.cluster()->name());
    case Field::LastFailure:
      return push_or_nil(L, exchange.last_failure());
    case Field::ClientIp:
      return push_or_nil(L, exchange.client_ip_text());
    default:
      return lua_pushnil(L);
  }
}

void set_text(lua_State* L, const char* key, std::string_view text) {
  push_or_nil(L, text);
  lua_setfield(L, -2, key);
}

void push_client_certificate(lua_State* L, const net::TlsCertificate& certificate) {
  lua_createtable(L, 0, 5);
  set_text(L, "subject", certificate.subject);
  set_text(L, "issuer", certificate.issuer);
  set_text(L, "fingerprint", certificate.fingerprint);
  // A wrong certificate has not come past the handshake.
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "verified");
  lua_createtable(L, static_cast<int>(certificate.sans.size()), 0);
  for (size_t i = 0; i < certificate.sans.size(); ++i) {
    push(L, certificate.sans[i]);
    lua_rawseti(L, -2, static_cast<int>(i + 1));
  }
  lua_setfield(L, -2, "sans");
}

// What was agreed with the client, as a table; nil on cleartext.
void push_tls(lua_State* L, const net::TlsFacts* tls) {
  if (tls == nullptr) return lua_pushnil(L);
  lua_createtable(L, 0, 5);
  set_text(L, "version", tls->version);
  set_text(L, "cipher", tls->cipher);
  set_text(L, "sni", tls->sni);
  set_text(L, "alpn", tls->alpn);
  if (const net::TlsCertificate* client = tls->certificate()) {
    push_client_certificate(L, *client);
    lua_setfield(L, -2, "client");
  }
}

// Its head is followed by the tunnel's bytes, and by nothing else.
bool asks_for_tunnel(const http::RequestHead& head) {
  return head.method == http::Method::Connect || !head.upgrade.empty();
}

void set_method(lua_State* L, HookCall& call) {
  const std::string_view name = method(L, 3);
  http::RequestHead& head = call.exchange().request();
  if (asks_for_tunnel(head)) raise(L, "the method of a request for a tunnel cannot change");
  head.method_name = call.keep(L, name);
  head.method = http::method_of(head.method_name);
}

void set_path(lua_State* L, HookCall& call) {
  const http::RequestHead& head = call.exchange().request();
  call.charge(L, lua_objlen(L, 3));  // a path that is not canonical is written anew
  set_target(L, call, path(L, 3, call.exchange().arena()), head.has_query, head.query);
}

void set_query(lua_State* L, HookCall& call) {
  const std::string_view path = call.exchange().request().path;
  if (lua_isnil(L, 3)) return set_target(L, call, path, false, {});
  set_target(L, call, path, true, query(L, 3));
}

void set_cluster(lua_State* L, HookCall& call) {
  size_t size;
  const char* name = lua_tolstring(L, 3, &size);
  if (name == nullptr) raise(L, "request.cluster must be a string, not a %s", luaL_typename(L, 3));
  if (call.exchange().cluster() == nullptr) raise(L, "the route has no cluster");
  if (call.exchange().set_cluster({name, size})) return;
  if (call.exchange().routes().find_cluster({name, size}) != nullptr) {
    raise(L, "the cluster can no longer be changed");
  }
  raise(L, "no cluster is named '%s'", name);
}

int request_body(lua_State* L) {
  check_self(L, HandleKind::Request);
  return yield_wait(L, Wait::RequestBody, 0);
}

int request_set_body(lua_State* L) {
  HookCall& call = check_self(L, HandleKind::Request);
  if (!may_read(HandleKind::Request, Field::SetBody, call.hook())) {
    raise_unreadable(L, HandleKind::Request, Field::SetBody, call.hook());
  }
  if (call.exchange().attempts() > 0) raise(L, "the request's body has been sent");
  if (asks_for_tunnel(call.exchange().request())) raise(L, "a request for a tunnel has no body");
  call.set_request_body(call.keep(L, text_argument(L, kSetBody, 2)));
  // At once, since the body takes effect when the hook ends, and the script may add some until
  // then.
  http::RequestHead& head = call.exchange().request();
  if (!std::exchange(head.drops_trailers, true)) head.trailers.clear();
  forget_body_digests(head.headers);
  return 0;
}

}  // namespace

int index_request(lua_State* L, HookCall& call) {
  const Field field = field_of(L, call);
  switch (field) {
    case Field::Headers:
      push_light(L, call, HandleKind::RequestHeaders);
      break;
    case Field::Trailers:
      push_light(L, call, HandleKind::RequestTrailers);
      break;
    case Field::Vars:
      push_light(L, call, HandleKind::Vars);
      break;
    case Field::Args:
      push_light(L, call, HandleKind::Args);
      break;
    case Field::Tried:
      push_tried(L, call);
      break;
    case Field::Tls:
      push_tls(L, call.exchange().tls());
      break;
    case Field::Attempt:
      lua_pushinteger(L, static_cast<lua_Integer>(call.attempt()));
      break;
    case Field::ClientPort:
      lua_pushinteger(L, call.exchange().client_port());
      break;
    case Field::Timeout:
      lua_pushnumber(L, std::chrono::duration<double>(call.exchange().timeout()).count());
      break;
    case Field::Body:
      push_method(L, call, kRequestBody);
      break;
    case Field::SetBody:
      push_method(L, call, kRequestSetBody);
      break;
    case Field::Reply:
      push_method(L, call, kRequestReply);
      break;
    case Field::Redirect:
      push_method(L, call, kRequestRedirect);
      break;
    default:
      if (!may_read(HandleKind::Request, field, call.hook())) {
        raise_unreadable(L, HandleKind::Request, field, call.hook());
      }
      push_text_field(L, field, call);
  }
  return 1;
}

int set_request_field(lua_State* L, HookCall& call) {
  const Field field = field_of(L, call);
  if (!may_write(HandleKind::Request, field, call.hook())) {
    raise_unwritable(L, HandleKind::Request, field, call.hook());
  }
  if (field == Field::Method) set_method(L, call);
  if (field == Field::Path) set_path(L, call);
  if (field == Field::Query) set_query(L, call);
  if (field == Field::Cluster) set_cluster(L, call);
  if (field == Field::Timeout) call.exchange().set_timeout(seconds(L, 3, "request.timeout"));
  return 0;
}

void set_target(lua_State* L, HookCall& call, std::string_view path, bool has_query,
                std::string_view query) {
  call.charge(L, path.size() + query.size() + 1);
  Arena& arena = call.exchange().arena();
  call.exchange().set_path(has_query ? arena.join(path, "?", query) : arena.copy(path));
}

void push_request_methods(lua_State* L) {
  lua_pushcfunction(L, request_body);
  lua_pushcfunction(L, request_set_body);
  lua_pushcfunction(L, request_reply);
  lua_pushcfunction(L, request_redirect);
}

}  // namespace tidegate::script
