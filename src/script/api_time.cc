// SPDX-License-Identifier: Apache-2.0
// proxy.now() and proxy.sleep(seconds).
#include <chrono>

#include "script/api.h"
#include "script/arguments.h"
#include "script/wait.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kSleep{"proxy.sleep"};
constexpr double kMaxSleep = 24 * 3600;

// Seconds since 1970, as a number with a fraction.
int now(lua_State* L) {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  lua_pushnumber(L, std::chrono::duration<double>(since).count());
  return 1;
}

int sleep(lua_State* L) {
  const double seconds = number_argument(L, kSleep, 1);
  if (!(seconds >= 0 && seconds <= kMaxSleep)) {
    raise(L, "proxy.sleep takes a number of seconds, 0 to 86400");
  }
  lua_settop(L, 1);
  return yield_wait(L, Wait::Sleep, 1);
}

}  // namespace

void add_time_api(lua_State* L) {
  static const luaL_Reg kFunctions[] = {{"now", now}, {"sleep", sleep}, {nullptr, nullptr}};
  luaL_register(L, nullptr, kFunctions);
}

}  // namespace tidegate::script
