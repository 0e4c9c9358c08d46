// SPDX-License-Identifier: Apache-2.0
#include "script/buffer.h"
#include "script/libraries.h"

namespace tidegate::script {
namespace {

constexpr int kLargest = 1 << 30;

int length_of(lua_State* L, int index) {
  luaL_checktype(L, index, LUA_TTABLE);
  return static_cast<int>(lua_objlen(L, index));
}

int concat(lua_State* L) {
  const int length = length_of(L, 1);
  size_t size;
  const char* text = luaL_optlstring(L, 2, "", &size);
  const std::string_view separator(text, size);
  const auto first = static_cast<int>(luaL_optinteger(L, 3, 1));
  const auto last = static_cast<int>(luaL_optinteger(L, 4, length));
  lua_settop(L, 2);
  Vm& vm = Vm::of(L);
  Buffer result(L);
  for (int64_t i = first; i <= last; ++i) {
    vm.check(L);
    lua_rawgeti(L, 1, static_cast<int>(i));
    if (lua_isstring(L, -1) == 0) {
      return luaL_error(L, "invalid value (%s) at index %d in table for 'concat'",
                        luaL_typename(L, -1), static_cast<int>(i));
    }
    result.append_top();
    if (i != last) result.append(separator);
  }
  result.push();
  return 1;
}

int insert(lua_State* L) {
  const int end = length_of(L, 1) + 1;
  const int arguments = lua_gettop(L);
  if (arguments == 2) {
    lua_rawseti(L, 1, end);
    return 0;
  }
  if (arguments != 3) return luaL_error(L, "wrong number of arguments to 'insert'");
  const auto position = static_cast<int>(luaL_checkinteger(L, 2));
  Vm& vm = Vm::of(L);
  for (int i = end > position ? end : position; i > position; --i) {
    vm.check(L);
    lua_rawgeti(L, 1, i - 1);
    lua_rawseti(L, 1, i);
  }
  lua_rawseti(L, 1, position);
  return 0;
}

// Sorts the table at 1 by the function at 2, or by "<" where that is nil.
struct Sorter {
  lua_State* L;
  Vm& vm;

  static constexpr int kPivot = 3;

  void get(int i) { lua_rawgeti(L, 1, i); }
  void set(int i) { lua_rawseti(L, 1, i); }

  // Of two values on the stack.
  bool less(int a, int b) {
    vm.check(L);
    if (lua_isnil(L, 2)) return lua_lessthan(L, a, b) != 0;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, a < 0 ? a - 1 : a);
    lua_pushvalue(L, b < 0 ? b - 2 : b);
    lua_call(L, 2, 1);
    const bool result = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return result;
  }
  // Swaps the elements a and b if the one at b is less.
  void order(int a, int b) {
    get(a);
    get(b);
    if (less(-1, -2)) {
      set(a);
      set(b);
    } else {
      lua_pop(L, 2);
    }
  }

  // Sorts [low, high]; the larger part in the loop, so that recursion stays logarithmic.
  void sort(int low, int high) {
    while (low < high) {
      if (high - low < 8) return insertion_sort(low, high);
      const int middle = low + (high - low) / 2;
      order(low, middle);
      order(middle, high);
      order(low, middle);
      const int split = partition(low, high, middle);
      if (split - low < high - split) {
        sort(low, split);
        low = split + 1;
      } else {
        sort(split + 1, high);
        high = split;
      }
    }
  }

  // Splits around the value at `middle`: [low, result] is not above it, the rest not below.
  int partition(int low, int high, int middle) {
    get(middle);  // the pivot stays on the stack
    int i = low - 1;
    int j = high + 1;
    while (true) {
      do {
        if (++i > high) invalid();
        lua_settop(L, kPivot);
        get(i);
      } while (less(-1, kPivot));
      do {
        if (--j < low) invalid();
        lua_settop(L, kPivot + 1);
        get(j);
      } while (less(kPivot, -1));
      if (i >= j) break;
      set(i);
      set(j);
    }
    lua_settop(L, kPivot - 1);
    if (j >= high) invalid();
    return j;
  }

  void insertion_sort(int low, int high) {
    for (int i = low + 1; i <= high; ++i) {
      get(i);
      int at = i;
      for (; at > low; --at) {
        get(at - 1);
        if (!less(-2, -1)) {
          lua_pop(L, 1);
          break;
        }
        set(at);
      }
      set(at);
    }
  }
  void invalid() { luaL_error(L, "invalid order function for sorting"); }
};

int sort(lua_State* L) {
  const int length = length_of(L, 1);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  Vm& vm = Vm::of(L);
  vm.check_stack(L);
  luaL_checkstack(L, 16, "sort");
  if (length > kLargest) return luaL_error(L, "table too large to sort");
  Sorter{L, vm}.sort(1, length);
  return 0;
}

}  // namespace

void add_table_library(lua_State* L) {
  static const luaL_Reg kFunctions[] = {
      {"concat", concat}, {"insert", insert}, {"sort", sort}, {nullptr, nullptr}};
  luaL_register(L, nullptr, kFunctions);
}

}  // namespace tidegate::script
