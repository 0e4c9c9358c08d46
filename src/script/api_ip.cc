// SPDX-License-Identifier: Apache-2.0
// proxy.ip.cidr{ "10.0.0.0/8", ... }:contains(ip).
#include <cerrno>
#include <type_traits>

#include "base/ip.h"
#include "script/api.h"
#include "script/vm.h"

namespace tidegate::script {
namespace {

static_assert(std::is_trivially_copyable_v<Cidr> && std::is_trivially_destructible_v<Cidr>,
              "they lie in memory of the VM, which runs no destructors");

// A list of blocks as a userdata; upvalue 1 of its functions is the metatable.
Cidr* check_blocks(lua_State* L, size_t& count) {
  const bool fine = lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1) != 0 &&
                    lua_rawequal(L, -1, lua_upvalueindex(1)) != 0;
  if (!fine) luaL_error(L, "a list made by proxy.ip.cidr expected");
  count = lua_objlen(L, 1) / sizeof(Cidr);
  return static_cast<Cidr*>(lua_touserdata(L, 1));
}

int contains_ip(lua_State* L) {
  size_t count;
  const Cidr* blocks = check_blocks(L, count);
  size_t size;
  const char* text = luaL_checklstring(L, 2, &size);
  const auto address = IpAddress::parse({text, size});
  bool found = false;
  for (size_t i = 0; address && i < count && !found; ++i) found = blocks[i].contains(*address);
  lua_pushboolean(L, found ? 1 : 0);
  return 1;
}

// One block or a table of blocks. What is no block raises: it is a mistake in the script or config.
int cidr(lua_State* L) {
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TSTRING) {
    lua_newtable(L);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  const size_t count = lua_objlen(L, 1);
  if (count > 100'000) return luaL_error(L, "too many blocks");
  Vm::of(L).reserve(L, count * sizeof(Cidr));
  auto* blocks = static_cast<Cidr*>(lua_newuserdata(L, count * sizeof(Cidr)));
  for (size_t i = 0; i < count; ++i) {
    Vm::of(L).check(L);
    lua_rawgeti(L, 1, static_cast<int>(i + 1));
    size_t size;
    const char* text = lua_tolstring(L, -1, &size);
    if (text == nullptr) return luaL_error(L, "a block must be a string");
    auto block = Cidr::parse({text, size});
    if (!block) return luaL_error(L, "not an address or block: '%s'", text);
    blocks[i] = *block;
    lua_pop(L, 1);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

}  // namespace

void add_ip_api(lua_State* L) {
  lua_newtable(L);  // metatable of the lists
  lua_newtable(L);  // their methods
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, contains_ip, 1);
  lua_setfield(L, -2, "contains");
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "cidr");
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  lua_insert(L, -2);
  lua_pushcclosure(L, cidr, 1);
  lua_setfield(L, -2, "cidr");
  lua_setfield(L, -2, "ip");
}

}  // namespace tidegate::script
