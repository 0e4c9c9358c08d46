// SPDX-License-Identifier: Apache-2.0
#include "script/fields.h"

#include <algorithm>
#include <string_view>

#include "base/strings.h"
#include "script/arguments.h"

namespace tidegate::script {
namespace {

using proxy::Hook;
using proxy::HookSet;
using enum HandleKind;

constexpr HookSet kAll = (1u << static_cast<unsigned>(Hook::Count_)) - 1;
constexpr HookSet kNever = 0;
constexpr HookSet kRequest = proxy::hook_bit(Hook::Request);
constexpr HookSet kUnsent = kRequest | proxy::hook_bit(Hook::SelectBackend);
constexpr HookSet kResponse = proxy::hook_bit(Hook::Response);
constexpr HookSet kBeforeLog = kAll & ~proxy::hook_bit(Hook::Log);

struct Row {
  HandleKind kind;
  Field field;
  HookSet read;
  HookSet write;
};

constexpr Row kRows[] = {
    {Request, Field::Method, kAll, kUnsent},
    {Request, Field::Scheme, kAll, kNever},
    {Request, Field::Host, kAll, kNever},
    {Request, Field::Path, kAll, kUnsent},
    {Request, Field::Query, kAll, kUnsent},
    {Request, Field::Args, kAll, kNever},
    {Request, Field::Version, kAll, kNever},
    {Request, Field::Id, kAll, kNever},
    {Request, Field::Route, kAll, kNever},
    {Request, Field::Cluster, kAll, kRequest},
    {Request, Field::Attempt, kAll, kNever},
    {Request, Field::Tried, kAll, kNever},
    {Request, Field::LastFailure, kAll, kNever},
    {Request, Field::ClientIp, kAll, kNever},
    {Request, Field::ClientPort, kAll, kNever},
    {Request, Field::Tls, kAll, kNever},
    {Request, Field::Headers, kAll, kNever},
    {Request, Field::Trailers, kAll, kNever},
    {Request, Field::Vars, kAll, kNever},
    {Request, Field::Timeout, kAll, kUnsent},
    {Request, Field::Body, kAll, kNever},
    {Request, Field::SetBody, kUnsent, kNever},
    {Request, Field::Reply, kBeforeLog, kNever},
    {Request, Field::Redirect, kBeforeLog, kNever},
    {RequestHeaders, Field::None, kAll, kUnsent},
    {RequestTrailers, Field::None, kAll, kUnsent},
    {Args, Field::None, kAll, kUnsent},
    {Vars, Field::None, kAll, kAll},
    {Response, Field::Status, kAll, kResponse},
    {Response, Field::Headers, kAll, kNever},
    {Response, Field::Trailers, kAll, kNever},
    {Response, Field::FromOrigin, kAll, kNever},
    {Response, Field::Endpoint, kAll, kNever},
    {Response, Field::Attempts, kAll, kNever},
    {Response, Field::Duration, kAll, kNever},
    {Response, Field::Body, kAll, kNever},
    {Response, Field::SetBody, kResponse, kNever},
    {Response, Field::Retry, kResponse, kNever},
    {ResponseHeaders, Field::None, kAll, kResponse},
    {ResponseTrailers, Field::None, kAll, kResponse},
    {Cluster, Field::Name, kAll, kNever},
    {Cluster, Field::Endpoints, kAll, kNever},
    {Cluster, Field::Healthy, kAll, kNever},
    {Cluster, Field::Breaker, kAll, kNever},
    {Cluster, Field::Pick, kAll, kNever},
    {Cluster, Field::HealthCheck, kAll, kNever},
    {Cluster, Field::SetEndpoints, kAll, kNever},
    {Cluster, Field::Request, kAll, kNever},
    {Endpoint, Field::Address, kAll, kNever},
    {Endpoint, Field::Weight, kAll, kNever},
    {Endpoint, Field::Tags, kAll, kNever},
    {Endpoint, Field::Available, kAll, kNever},
    {Endpoint, Field::Healthy, kAll, kNever},
    {Endpoint, Field::Active, kAll, kNever},
    {Endpoint, Field::Latency, kAll, kNever},
    {Endpoint, Field::Breaker, kAll, kNever},
    {Breaker, Field::State, kAll, kNever},
    {Breaker, Field::Failures, kAll, kNever},
    {Breaker, Field::LastFailure, kAll, kNever},
    {Breaker, Field::Reset, kAll, kNever},
};

constexpr FieldRules expand() {
  FieldRules rules{};
  for (const Row& row : kRows) {
    rules[static_cast<size_t>(row.kind)][static_cast<size_t>(row.field)] = {row.read, row.write};
  }
  return rules;
}

constexpr std::array<const char*, static_cast<size_t>(Field::Count_)> kNames{
    nullptr,     "method",       "scheme",        "host",
    "path",      "query",        "args",          "version",
    "id",        "route",        "cluster",       "attempt",
    "tried",     "last_failure", "client_ip",     "client_port",
    "tls",       "headers",      "trailers",      "vars",
    "timeout",   "body",         "set_body",      "reply",
    "redirect",  "status",       "from_origin",   "endpoint",
    "attempts",  "duration",     "retry",         "name",
    "endpoints", "healthy",      "breaker",       "pick",
    "request",   "health_check", "set_endpoints", "address",
    "weight",    "tags",         "available",     "active",
    "latency",   "state",        "failures",      "reset"};
static_assert(kNames.back() != nullptr);

bool is_method(Field field) {
  switch (field) {
    case Field::Body:
    case Field::SetBody:
    case Field::Reply:
    case Field::Redirect:
    case Field::Retry:
    case Field::Pick:
    case Field::HealthCheck:
    case Field::SetEndpoints:
    case Field::Request:
    case Field::Reset:
      return true;
    default:
      return false;
  }
}

bool is_of_response(HandleKind kind) {
  return kind == Response || kind == ResponseHeaders || kind == ResponseTrailers;
}

const char* reason(HandleKind kind, Hook hook) {
  if (is_of_response(kind)) {
    return hook == Hook::Log ? "the response has been sent" : "there is no response yet";
  }
  switch (hook) {
    case Hook::SelectBackend:
      return "the cluster has been chosen";
    case Hook::Error:
      return "the request has failed";
    case Hook::Log:
      return "the exchange is over";
    default:
      return "the request has been sent";
  }
}

// "request.path", or "request.headers" where the name is the author's.
const char* push_name(lua_State* L, HandleKind kind, Field field) {
  if (field == Field::None) {
    lua_pushstring(L, path_of(kind));
  } else {
    lua_pushfstring(L, "%s%s%s", path_of(kind), is_method(field) ? ":" : ".", name_of(field));
  }
  return lua_tostring(L, -1);
}

// The field of that kind whose name is most like `text`; nullptr: none is.
const char* nearest(HandleKind kind, std::string_view text) {
  const char* best = nullptr;
  size_t distance = std::min<size_t>(3, text.size() / 2 + 1);
  for (const Row& row : kRows) {
    if (row.kind != kind || row.field == Field::None) continue;
    const size_t d = edit_distance(text, name_of(row.field));
    if (d < distance) distance = d, best = name_of(row.field);
  }
  return best;
}

// What other proxies and frameworks call it.
struct Alias {
  HandleKind kind;
  const char* name;
  const char* here;
};
constexpr Alias kAliases[] = {
    {Request, "ip", "'client_ip'"},
    {Request, "remote_ip", "'client_ip'"},
    {Request, "remote_addr", "'client_ip'"},
    {Request, "port", "'client_port'"},
    {Request, "uri", "'path' and 'query'"},
    {Request, "url", "'path' and 'query'"},
    {Request, "target", "'path' and 'query'"},
    {Request, "params", "'args'"},
    {Request, "get_header", "'headers[name]'"},
    {Request, "set_header", "'headers[name]'"},
    {Request, "cookie", "'headers.cookie'"},
    {Request, "cookies", "'headers.cookie'"},
    {Request, "json", "'proxy.json.decode(request:body())'"},
    {Request, "text", "'body()'"},
    {Request, "ctx", "'vars'"},
    {Response, "code", "'status'"},
    {Response, "status_code", "'status'"},
    {Response, "get_header", "'headers[name]'"},
    {Response, "set_header", "'headers[name]'"},
    {Response, "json", "'proxy.json.decode(response:body())'"},
    {Response, "text", "'body()'"},
    {Response, "cookies", "'headers[\"set-cookie\"]'"},
};

[[noreturn]] void raise_unknown(lua_State* L, HandleKind kind) {
  const char* kind_name = to_string(kind);
  if (lua_type(L, 2) != LUA_TSTRING) {
    raise(L, "%s has no field with a key of type %s", kind_name, luaL_typename(L, 2));
  }
  size_t size;
  const char* name = lua_tolstring(L, 2, &size);
  for (const Alias& alias : kAliases) {
    if (alias.kind != kind || std::string_view(name, size) != alias.name) continue;
    raise(L, "%s has no field '%s'; did you mean %s?", kind_name, name, alias.here);
  }
  const char* near = nearest(kind, {name, std::min<size_t>(size, 50)});
  if (near != nullptr) raise(L, "%s has no field '%s'; did you mean '%s'?", kind_name, name, near);
  raise(L, "%s has no field '%s'", kind_name, name);
}

bool is_field(HandleKind kind, Field field) {
  return kFieldRules[static_cast<size_t>(kind)][static_cast<size_t>(field)].read != 0;
}

}  // namespace

constexpr FieldRules kRules = expand();
const FieldRules kFieldRules = kRules;

KindSet writable_kinds(Hook hook) {
  static constexpr auto kSets = [] {
    std::array<KindSet, static_cast<size_t>(Hook::Count_)> sets{};
    for (size_t kind = 0; kind < kHandleKinds; ++kind) {
      const FieldRule& rule = kRules[kind][static_cast<size_t>(Field::None)];
      for (size_t h = 0; h < sets.size(); ++h) {
        if ((rule.write & proxy::hook_bit(static_cast<Hook>(h))) != 0) {
          sets[h] |= static_cast<KindSet>(1u << kind);
        }
      }
    }
    return sets;
  }();
  return kSets[static_cast<size_t>(hook)];
}

const char* name_of(Field field) {
  return kNames[static_cast<size_t>(field)];
}

const char* path_of(HandleKind kind) {
  switch (kind) {
    case RequestHeaders:
      return "request.headers";
    case RequestTrailers:
      return "request.trailers";
    case Args:
      return "request.args";
    case Vars:
      return "request.vars";
    case ResponseHeaders:
      return "response.headers";
    case ResponseTrailers:
      return "response.trailers";
    default:
      return to_string(kind);
  }
}

void raise_unreadable(lua_State* L, HandleKind kind, Field field, Hook hook) {
  if (!is_field(kind, field)) raise_unknown(L, kind);
  raise(L, "%s cannot be called in %s: %s", push_name(L, kind, field), to_string(hook).data(),
        reason(kind, hook));
}

void raise_unwritable(lua_State* L, HandleKind kind, Field field, Hook hook) {
  if (!is_field(kind, field)) raise_unknown(L, kind);
  const auto& rule = kFieldRules[static_cast<size_t>(kind)][static_cast<size_t>(field)];
  if (rule.write == kNever)
    raise(L, "%s cannot be set: it is read-only", push_name(L, kind, field));
  raise(L, "%s cannot be set in %s: %s", push_name(L, kind, field), to_string(hook).data(),
        reason(kind, hook));
}

std::string fields_reference() {
  constexpr const char* kHeads[] = {"on_request", "select_backend", "on_response", "on_error",
                                    "on_log"};
  std::string text = "| |";
  for (const char* head : kHeads) text += " `" + std::string(head) + "` |";
  text += "\n|---|";
  for (size_t i = 0; i < std::size(kHeads); ++i) text += "---|";
  text += "\n";
  for (const Row& row : kRows) {
    if (row.kind == Cluster && row.field == Field::Request) continue;  // raises in every hook
    std::string name = path_of(row.kind);
    if (row.field == Field::None) {
      name += "[name]";
    } else {
      name += (is_method(row.field) ? ":" : ".") + std::string(name_of(row.field));
      if (is_method(row.field)) name += "()";
    }
    text += "| `" + name + "` |";
    for (size_t hook = 0; hook < std::size(kHeads); ++hook) {
      const HookSet bit = proxy::hook_bit(static_cast<Hook>(hook));
      const bool read = (row.read & bit) != 0;
      const bool write = (row.write & bit) != 0;
      const char* cell = is_method(row.field) ? (read ? " call |" : " |")
                         : write              ? " read, write |"
                         : read               ? " read |"
                                              : " |";
      text += cell;
    }
    text += "\n";
  }
  return text;
}

}  // namespace tidegate::script
