// SPDX-License-Identifier: Apache-2.0
// proxy.ip.cidr{ "10.0.0.0/8", ... }:contains(ip).
#include <algorithm>
#include <array>
#include <cerrno>
#include <type_traits>
#include <utility>

#include "base/ip.h"
#include "script/api.h"
#include "script/arguments.h"
#include "script/vm.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kCidr{"proxy.ip.cidr"};
constexpr ApiFunction kContains{"blocks:contains", true};
constexpr size_t kMaxBlocks = 100'000;

// First and last address of a block; IPv4 in its mapped form, so that both families have one order.
struct Range {
  std::array<uint8_t, 16> first;
  std::array<uint8_t, 16> last;
};
static_assert(std::is_trivially_copyable_v<Range> && std::is_trivially_destructible_v<Range>,
              "they lie in memory of the VM, which runs no destructors");

// A list of blocks: ranges in order, of which no two overlap, so that one binary search answers.
struct Blocks {
  size_t count;

  Range* ranges() { return reinterpret_cast<Range*>(this + 1); }
};

// As a userdata; upvalue 1 of its functions is the metatable.
Blocks& check_blocks(lua_State* L) {
  const bool fine = lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1) != 0 &&
                    lua_rawequal(L, -1, lua_upvalueindex(1)) != 0;
  if (!fine) raise(L, "a list made by proxy.ip.cidr expected: write blocks:contains(ip)");
  lua_pop(L, 1);
  return *static_cast<Blocks*>(lua_touserdata(L, 1));
}

int contains_ip(lua_State* L) {
  Blocks& blocks = check_blocks(L);
  const auto address = IpAddress::parse(text_argument(L, kContains, 2));
  bool found = false;
  if (address) {
    const Range* const begin = blocks.ranges();
    const Range* const after = std::upper_bound(
        begin, begin + blocks.count, address->bytes(),
        [](const std::array<uint8_t, 16>& bytes, const Range& r) { return bytes < r.first; });
    found = after != begin && address->bytes() <= after[-1].last;
  }
  lua_pushboolean(L, found ? 1 : 0);
  return 1;
}

Range range_of(const Cidr& block) {
  return {block.first(), block.last()};
}

// Merges the sorted halves of `from`, of `width` each, into `to`.
void merge_runs(lua_State* L, const Range* from, Range* to, size_t count, size_t width) {
  const auto less = [](const Range& a, const Range& b) { return a.first < b.first; };
  for (size_t at = 0; at < count; at += 2 * width) {
    Vm::of(L).check(L);
    const size_t middle = std::min(at + width, count);
    const size_t end = std::min(at + 2 * width, count);
    size_t left = at;
    size_t right = middle;
    for (size_t i = at; i < end; ++i) {
      if ((i & 1023) == 0) Vm::of(L).check(L);
      const bool takes_left = left < middle && (right == end || !less(from[right], from[left]));
      to[i] = takes_left ? from[left++] : from[right++];
    }
  }
}

// By merging, since that can look at the CPU budget as it goes. `spare` has room for as many.
void sort(lua_State* L, Range* ranges, Range* spare, size_t count) {
  Range* from = ranges;
  Range* to = spare;
  for (size_t width = 1; width < count; width *= 2) {
    merge_runs(L, from, to, count, width);
    std::swap(from, to);
  }
  if (from != ranges) std::copy(from, from + count, ranges);
}

// Blocks are nested or apart, so of two that follow one another the first may hold the second.
size_t drop_nested(Range* ranges, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (kept > 0 && ranges[i].last <= ranges[kept - 1].last) continue;
    if (kept > 0 && ranges[i].first == ranges[kept - 1].first) --kept;
    ranges[kept++] = ranges[i];
  }
  return kept;
}

Range parse(lua_State* L, int index) {
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  if (text == nullptr) raise(L, "a block must be a string, not a %s", luaL_typename(L, index));
  const auto block = Cidr::parse({text, size});
  if (!block) raise(L, "not an address or block: '%s'", text);
  return range_of(*block);
}

// One block or a table of blocks. What is no block raises: it is a mistake in the script or config.
int cidr(lua_State* L) {
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TSTRING) {
    lua_newtable(L);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
  }
  table_argument(L, kCidr, 1);
  const size_t count = lua_objlen(L, 1);
  if (count > kMaxBlocks) {
    raise(L, "a list can have %d blocks at most", static_cast<int>(kMaxBlocks));
  }
  const size_t bytes = count * sizeof(Range);
  Vm::of(L).reserve(L, sizeof(Blocks) + 2 * bytes);
  auto* blocks = static_cast<Blocks*>(lua_newuserdata(L, sizeof(Blocks) + bytes));
  auto* spare = static_cast<Range*>(lua_newuserdata(L, bytes));
  for (size_t i = 0; i < count; ++i) {
    Vm::of(L).check(L);
    lua_rawgeti(L, 1, static_cast<int>(i + 1));
    blocks->ranges()[i] = parse(L, -1);
    lua_pop(L, 1);
  }
  sort(L, blocks->ranges(), spare, count);
  blocks->count = drop_nested(blocks->ranges(), count);
  lua_pop(L, 1);
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
