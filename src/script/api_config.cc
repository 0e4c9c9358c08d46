// SPDX-License-Identifier: Apache-2.0
// proxy.cluster(name), proxy.clusters(), proxy.routes(): the configuration that the running
// exchange began with, live where it is live. proxy.env(name).
#include <algorithm>
#include <cstdlib>

#include "script/api.h"
#include "script/arguments.h"
#include "script/loaded_script.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kCluster{"proxy.cluster"};
constexpr ApiFunction kEnv{"proxy.env"};

HookCall& check_call(lua_State* L, const char* function) {
  HookCall* call = LoadedScript::of(L).running_call;
  if (call == nullptr) raise(L, "proxy.%s can be used in hooks only", function);
  return *call;
}

void set(lua_State* L, const char* key, std::string_view text) {
  if (text.empty()) return;
  lua_pushlstring(L, text.data(), text.size());
  lua_setfield(L, -2, key);
}

void push_list(lua_State* L, const std::vector<std::string>& list) {
  lua_createtable(L, static_cast<int>(list.size()), 0);
  int count = 0;
  for (const std::string& text : list) {
    Vm::of(L).check(L);
    lua_pushlstring(L, text.data(), text.size());
    lua_rawseti(L, -2, ++count);
  }
}

void push_endpoint(lua_State* L, const upstream::Member& member, TimePoint now) {
  const upstream::Endpoint& endpoint = *member.endpoint;
  lua_createtable(L, 0, 6);
  set(L, "address", endpoint.address);
  set(L, "url", endpoint.config.url);
  lua_pushinteger(L, member.settings->weight);
  lua_setfield(L, -2, "weight");
  lua_pushboolean(L, endpoint.available(now) ? 1 : 0);
  lua_setfield(L, -2, "available");
  lua_pushboolean(L, endpoint.healthy.load(std::memory_order_relaxed) ? 1 : 0);
  lua_setfield(L, -2, "healthy");
  lua_pushinteger(L, endpoint.active.load(std::memory_order_relaxed));
  lua_setfield(L, -2, "active");
}

void push_cluster(lua_State* L, const upstream::Cluster& cluster, TimePoint now) {
  lua_createtable(L, 0, 3);
  set(L, "name", cluster.name());
  lua_pushboolean(L, cluster.healthy(now) ? 1 : 0);
  lua_setfield(L, -2, "healthy");
  lua_createtable(L, static_cast<int>(cluster.members().size()), 0);
  int count = 0;
  for (const upstream::Cluster::Member& member : cluster.members()) {
    Vm::of(L).check(L);
    push_endpoint(L, member, now);
    lua_rawseti(L, -2, ++count);
  }
  lua_setfield(L, -2, "endpoints");
}

// A list of { name, healthy, endpoints = { { address, url, weight, available, healthy, active } }
// }.
int clusters(lua_State* L) {
  proxy::Exchange& exchange = check_call(L, "clusters").exchange();
  const auto& all = exchange.routes().clusters();
  const TimePoint now = exchange.context().loop.now();
  lua_createtable(L, static_cast<int>(all.size()), 0);
  int count = 0;
  for (const auto& runtime : all) {
    Vm::of(L).check(L);
    push_cluster(L, runtime->cluster, now);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

void push_route(lua_State* L, const config::Route& route) {
  lua_createtable(L, 0, 6);
  set(L, "name", route.name);
  set(L, "path", route.match.path);
  set(L, "path_prefix", route.match.path_prefix);
  set(L, "cluster", route.cluster);
  push_list(L, route.match.hosts);
  lua_setfield(L, -2, "hosts");
  push_list(L, route.match.methods);
  lua_setfield(L, -2, "methods");
}

// A list of { name, path, path_prefix, hosts, methods, cluster }, in the order of the file.
int routes(lua_State* L) {
  const auto& all = check_call(L, "routes").exchange().routes().snapshot().config.routes;
  lua_createtable(L, static_cast<int>(all.size()), 0);
  int count = 0;
  for (const config::Route& route : all) {
    Vm::of(L).check(L);
    push_route(L, route);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

int cluster(lua_State* L) {
  HookCall& call = check_call(L, "cluster");
  const std::string_view name = text_argument(L, kCluster, 1);
  proxy::ClusterRuntime* runtime = call.exchange().routes().find_cluster(name);
  if (runtime == nullptr) {
    lua_pushnil(L);
    lua_pushfstring(L, "no cluster is named '%s'", name.data());
    return 2;
  }
  push_cluster(L, call, runtime->cluster);
  return 1;
}

// Of the process, and of the policy's list only. A name outside of it is a mistake in the config,
// so it raises.
int env(lua_State* L) {
  const char* name = text_argument(L, kEnv, 1).data();
  const ScriptFilter* filter = LoadedScript::of(L).running_filter;
  const auto listed = [&] {
    const auto& names = filter->policy().env;
    return std::any_of(names.begin(), names.end(),
                       [name](const std::string& entry) { return entry == name; });
  };
  if (filter == nullptr || !listed()) {
    raise(L, "the environment variable %s is not in the policy's env", name);
  }
  const char* value = std::getenv(name);
  value == nullptr ? lua_pushnil(L) : lua_pushstring(L, value);
  return 1;
}

}  // namespace

void add_config_api(lua_State* L) {
  static const luaL_Reg kFunctions[] = {{"cluster", cluster},
                                        {"clusters", clusters},
                                        {"routes", routes},
                                        {"env", env},
                                        {nullptr, nullptr}};
  luaL_register(L, nullptr, kFunctions);
}

}  // namespace tidegate::script
