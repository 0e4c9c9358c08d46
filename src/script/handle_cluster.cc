// SPDX-License-Identifier: Apache-2.0
// The handles `cluster` and `endpoint`.
#include <algorithm>
#include <array>

#include "config/endpoint_file.h"
#include "script/arguments.h"
#include "script/fields.h"
#include "script/hook_call.h"
#include "script/json.h"
#include "script/loaded_script.h"
#include "script/script_filter.h"
#include "telemetry/log.h"

namespace tidegate::script {
namespace {

// Upvalues.
constexpr int kPick = 1;
constexpr int kSetEndpoints = 2;
constexpr int kHealthCheck = 3;
constexpr int kReset = 1;

constexpr ApiFunction kSetEndpointsName{"cluster:set_endpoints", true};

// Reading them cannot be interrupted.
constexpr size_t kMaxEndpoints = 1000;
constexpr size_t kMaxEndpointsJson = 128 * 1024;
constexpr size_t kNanosecondsPerByte = 10;
// Another thread has work with it.
constexpr uint32_t kHealthCheckCharge = 50'000;

upstream::Cluster& cluster_of(const Handle& handle) {
  return *handle.cluster;
}

upstream::Endpoint& endpoint_of(const Handle& handle) {
  return *handle.endpoint;
}

void push_endpoints(lua_State* L, HookCall& call, upstream::Cluster& cluster) {
  call.exchange().pin_members(cluster);
  const auto& members = cluster.members();
  lua_createtable(L, static_cast<int>(members.size()), 0);
  int count = 0;
  for (const upstream::Cluster::Member& member : members) {
    Vm::of(L).check(L);
    push_endpoint(L, call, cluster, member);
    lua_rawseti(L, -2, ++count);
  }
}

// How many of the endpoints' breakers are in which state.
void push_breakers(lua_State* L, const upstream::Cluster& cluster) {
  std::array<int, 3> counts{};
  Pace pace(L);
  for (const upstream::Cluster::Member& member : cluster.members()) {
    pace();
    ++counts[static_cast<size_t>(member.endpoint->breaker.state())];
  }
  lua_createtable(L, 0, 3);
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto state = to_string(static_cast<upstream::Breaker::State>(i));
    lua_pushlstring(L, state.data(), state.size());
    lua_pushinteger(L, counts[i]);
    lua_rawset(L, -3);
  }
}

int cluster_index(lua_State* L) {
  HookCall* running = nullptr;
  const Handle& handle = full_self(L, HandleKind::Cluster, running);
  HookCall& call = *running;
  upstream::Cluster& cluster = cluster_of(handle);
  const Field field = field_of(L, call);
  switch (field) {
    case Field::Name:
      lua_pushlstring(L, cluster.name().data(), cluster.name().size());
      break;
    case Field::Endpoints:
      push_endpoints(L, call, cluster);
      break;
    case Field::Healthy:
      lua_pushboolean(L, cluster.healthy(call.exchange().context().loop.now()) ? 1 : 0);
      break;
    case Field::Pick:
      lua_pushvalue(L, lua_upvalueindex(kPick));
      break;
    case Field::SetEndpoints:
      lua_pushvalue(L, lua_upvalueindex(kSetEndpoints));
      break;
    case Field::Breaker:
      push_breakers(L, cluster);
      break;
    case Field::HealthCheck:
      lua_pushvalue(L, lua_upvalueindex(kHealthCheck));
      break;
    case Field::Request:
      raise(L, "cluster.request is not available in this version");
    default:
      raise_unreadable(L, HandleKind::Cluster, field, call.hook());
  }
  return 1;
}

int cluster_newindex(lua_State* L) {
  const HookCall& call = check_self(L, HandleKind::Cluster);
  raise_unwritable(L, HandleKind::Cluster, field_of(L, call), call.hook());
}

int cluster_pick(lua_State* L) {
  HookCall* running = nullptr;
  upstream::Cluster& cluster = cluster_of(full_self(L, HandleKind::Cluster, running));
  HookCall& call = *running;
  call.exchange().pin_members(cluster);
  const upstream::Cluster::Member* member = cluster.pick(call.exchange().pick_context());
  if (member == nullptr) return 0;
  push_endpoint(L, call, cluster, *member);
  return 1;
}

// What reaches other tenants' routes needs a word in the config.
void check_granted(lua_State* L, const HookCall& call, const upstream::Cluster& cluster,
                   const char* what) {
  const config::Policy& policy = call.filter().policy();
  const auto& names = policy.clusters;
  if (std::find(names.begin(), names.end(), cluster.name()) != names.end()) return;
  raise(L, "%s: the config does not let policy %s change cluster %s: add `clusters: [%s]` to it",
        what, policy.name.c_str(), cluster.name().c_str(), cluster.name().c_str());
}

struct Message {
  char text[512];
};

void write(Message& to, std::string_view text) {
  const size_t size = text.copy(to.text, sizeof to.text - 1);
  to.text[size] = '\0';
}

// A function of its own, since a Lua error must not pass over what it owns.
bool set_endpoints(HookCall& call, const upstream::Cluster& cluster, std::string_view json,
                   Message& wrong) {
  auto endpoints = config::endpoints_from_json(json);
  if (!endpoints) {
    const config::Error& first = endpoints.error().front();
    write(wrong, first.path + (first.path.empty() ? "" : ": ") + first.message);
    return false;
  }
  for (const config::Endpoint& endpoint : *endpoints) {
    // Looking a name up takes time, and its answer does not hold for ever.
    if (endpoint.address.is_unix || IpAddress::parse(endpoint.address.host)) continue;
    write(wrong,
          "'" + endpoint.address.host + "' is a name: give IP addresses, or use the cluster's dns");
    return false;
  }
  call.exchange().context().set_endpoints(cluster.name(), std::move(*endpoints));
  return true;
}

// cluster:set_endpoints{url or { url, weight, tags }, ...}
int cluster_set_endpoints(lua_State* L) {
  HookCall* running = nullptr;
  const upstream::Cluster& cluster = cluster_of(full_self(L, HandleKind::Cluster, running));
  HookCall& call = *running;
  check_granted(L, call, cluster, "set_endpoints");
  table_argument(L, kSetEndpointsName, 2);
  const size_t count = lua_objlen(L, 2);
  if (count == 0) raise(L, "set_endpoints: needs a list of at least one endpoint");
  if (count > kMaxEndpoints) {
    raise(L,
          "set_endpoints: %d endpoints are too many: at most %d, or use the cluster's dns or file",
          static_cast<int>(count), static_cast<int>(kMaxEndpoints));
  }
  if (cluster.config().dns || !cluster.config().file.empty()) {
    raise(L, "set_endpoints: the endpoints of cluster %s come from %s", cluster.name().c_str(),
          cluster.config().dns ? "dns" : "a file");
  }
  lua_pushcfunction(L, encode_json);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  size_t size;
  const char* json = lua_tolstring(L, -1, &size);
  if (size > kMaxEndpointsJson) {
    raise(L, "set_endpoints: the list is too long: as JSON it has more than 128 KiB");
  }
  Vm::of(L).charge(static_cast<uint32_t>(size * kNanosecondsPerByte));
  Message wrong;
  if (set_endpoints(call, cluster, {json, size}, wrong)) return 0;
  raise(L, "set_endpoints: %s", wrong.text);
}

int cluster_health_check(lua_State* L) {
  HookCall* call = nullptr;
  const upstream::Cluster& cluster = cluster_of(full_self(L, HandleKind::Cluster, call));
  const auto& check_health = call->exchange().context().check_health;
  if (check_health) check_health(cluster.name());
  Vm::of(L).charge(kHealthCheckCharge);
  return 0;
}

void push_tags(lua_State* L, const upstream::EndpointSettings& settings) {
  lua_newtable(L);
  for (const auto& [name, value] : settings.tags) {
    lua_pushlstring(L, name.data(), name.size());
    lua_pushlstring(L, value.data(), value.size());
    lua_rawset(L, -3);
  }
}

int endpoint_index(lua_State* L) {
  HookCall* running = nullptr;
  const Handle& handle = full_self(L, HandleKind::Endpoint, running);
  HookCall& call = *running;
  const upstream::Endpoint& endpoint = endpoint_of(handle);
  const Field field = field_of(L, call);
  switch (field) {
    case Field::Address:
      lua_pushlstring(L, endpoint.address.data(), endpoint.address.size());
      break;
    case Field::Weight:
      lua_pushinteger(L, handle.settings->weight);
      break;
    case Field::Tags:
      push_tags(L, *handle.settings);
      break;
    case Field::Available:
      lua_pushboolean(L, endpoint.available(call.exchange().context().loop.now()) ? 1 : 0);
      break;
    case Field::Healthy:
      lua_pushboolean(L, endpoint.healthy.load(std::memory_order_relaxed) ? 1 : 0);
      break;
    case Field::Active:
      lua_pushinteger(L, endpoint.active.load(std::memory_order_relaxed));
      break;
    case Field::Latency:
      lua_pushnumber(L, endpoint.latency_us.load(std::memory_order_relaxed) / 1e6);
      break;
    case Field::Breaker:
      push_handle(L, call, HandleKind::Breaker, handle);
      break;
    default:
      raise_unreadable(L, HandleKind::Endpoint, field, call.hook());
  }
  return 1;
}

int endpoint_newindex(lua_State* L) {
  const HookCall& call = check_self(L, HandleKind::Endpoint);
  raise_unwritable(L, HandleKind::Endpoint, field_of(L, call), call.hook());
}

int breaker_index(lua_State* L) {
  HookCall* running = nullptr;
  const Handle& handle = full_self(L, HandleKind::Breaker, running);
  const HookCall& call = *running;
  const upstream::Breaker& breaker = endpoint_of(handle).breaker;
  const Field field = field_of(L, call);
  switch (field) {
    case Field::State: {
      const auto state = to_string(breaker.state());
      lua_pushlstring(L, state.data(), state.size());
      break;
    }
    case Field::Failures:
      lua_pushinteger(L, breaker.failures());
      break;
    case Field::LastFailure: {
      const auto failure = breaker.last_failure();
      if (!failure) return 0;
      if (failure->status != 0) {
        lua_pushfstring(L, "%d", failure->status);
      } else {
        const std::string_view token = describe(failure->error).token;
        lua_pushlstring(L, token.data(), token.size());
      }
      break;
    }
    case Field::Reset:
      lua_pushvalue(L, lua_upvalueindex(kReset));
      break;
    default:
      raise_unreadable(L, HandleKind::Breaker, field, call.hook());
  }
  return 1;
}

int breaker_newindex(lua_State* L) {
  const HookCall& call = check_self(L, HandleKind::Breaker);
  raise_unwritable(L, HandleKind::Breaker, field_of(L, call), call.hook());
}

int breaker_reset(lua_State* L) {
  HookCall* call = nullptr;
  const Handle& handle = full_self(L, HandleKind::Breaker, call);
  check_granted(L, *call, *handle.cluster, "breaker:reset");
  upstream::Endpoint& endpoint = endpoint_of(handle);
  if (endpoint.reset_breaker(call->exchange().context().loop.now())) {
    log::info("breaker reset", {{"endpoint", endpoint.address}});
  }
  return 0;
}

// Two handles of one endpoint are equal.
int endpoint_equal(lua_State* L) {
  const Handle* a = to_handle(L, 1, HandleKind::Endpoint);
  const Handle* b = to_handle(L, 2, HandleKind::Endpoint);
  lua_pushboolean(L, a != nullptr && b != nullptr && a->endpoint == b->endpoint ? 1 : 0);
  return 1;
}

}  // namespace

void fill_cluster(lua_State* L) {
  lua_pushcfunction(L, cluster_pick);
  lua_pushcfunction(L, cluster_set_endpoints);
  lua_pushcfunction(L, cluster_health_check);
  lua_pushcclosure(L, cluster_index, 3);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, cluster_newindex);
  lua_setfield(L, -2, "__newindex");
}

void fill_endpoint(lua_State* L) {
  lua_pushcfunction(L, endpoint_index);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, endpoint_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, endpoint_equal);
  lua_setfield(L, -2, "__eq");
}

void fill_breaker(lua_State* L) {
  lua_pushcfunction(L, breaker_reset);
  lua_pushcclosure(L, breaker_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, breaker_newindex);
  lua_setfield(L, -2, "__newindex");
}

}  // namespace tidegate::script
