// SPDX-License-Identifier: Apache-2.0
#include "script/vm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "script/sandbox.h"
#include "script/ticks.h"

namespace tidegate::script {
namespace {

// A collection begins when this share (%) of what the last one left is in use. The less of its
// budget a VM uses, the less often it is worth marking all of it.
constexpr int kRoomyPause = 400;   // up to an eighth of the budget
constexpr int kNormalPause = 180;  // up to half
constexpr int kEagerPause = 110;

constexpr size_t kCloseAtOnce = 2 * 1024 * 1024;
constexpr int kStepMul = 400;  // work in a step: percent of 1 KiB
constexpr Duration kRoomMaking = std::chrono::milliseconds(2);

const char kWaitMark = 0;

std::string duration_text(Duration d) {
  const double ms = std::chrono::duration<double, std::milli>(d).count();
  return fmt::format("{:g} ms", ms);
}

std::string size_text(size_t bytes) {
  if (bytes % (1024 * 1024) == 0) return fmt::format("{} MiB", bytes / (1024 * 1024));
  return fmt::format("{} KiB", bytes / 1024);
}

// "script.lua:12: " of the innermost function that is a script's, or empty: a function that was
// called last thing by another has taken its place on the stack.
void where(lua_State* L, char* to, size_t size) {
  lua_Debug activation;
  for (int level = 0; level < kMaxLevels && lua_getstack(L, level, &activation) == 1; ++level) {
    lua_getinfo(L, "Sl", &activation);
    if (activation.currentline > 0 && activation.source[0] == '@') {
      std::snprintf(to, size, "%s:%d: ", activation.short_src, activation.currentline);
      return;
    }
  }
  to[0] = '\0';
}

// "script.lua:10: ", the first line of the innermost function that is a script's; or empty. After
// an allocation was refused, the line at which it stood is lost.
void where_begun(lua_State* L, char* to, size_t size) {
  lua_Debug activation;
  to[0] = '\0';
  for (int level = 0; level < kMaxLevels && lua_getstack(L, level, &activation) == 1; ++level) {
    lua_getinfo(L, "S", &activation);
    if (activation.source[0] != '@') continue;
    std::snprintf(to, size, "%s:%d: ", activation.short_src, std::max(activation.linedefined, 1));
    return;
  }
}

lua_State* new_state() {
  lua_State* L = luaL_newstate();
  if (L == nullptr) throw std::bad_alloc();
  return L;
}

}  // namespace

Vm::Vm(Watch& watch, const Limits& limits, std::string name)
    : watch_(watch),
      name_(std::move(name)),
      jit_(limits.jit),
      finalizers_(limits.finalizers),
      state_(new_state()),
      large_(limits.memory / 64),
      memory_(
          limits.memory, [](void* vm) { static_cast<Vm*>(vm)->on_memory_limit(); }, this) {
  memory_.attach(state_);
  if (finalizers_) keep_memory_for_finalizers();
  note_live();
  set_pause();
  open_libraries(state_);  // turns the JIT on, so it comes first
  luaJIT_setmode(state_, 0, LUAJIT_MODE_ENGINE | (limits.jit ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
}

Vm::~Vm() {
  close();
}

void Vm::close() {
  if (state_ == nullptr) return;
  watch_.watchdog().forget_target();
  if (finalizers_) {  // they may call what asks for the VM and its owner: not in another thread
    stack_top_ = static_cast<const char*>(__builtin_frame_address(0));
    may_slice_ = false;
    lua_close(state_);
    state_ = nullptr;
    return;
  }
  lua_State* const state = std::exchange(state_, nullptr);
  memory_.detach(state);
  if (memory_.used() <= kCloseAtOnce) {
    lua_close(state);
    return;
  }
  // It frees object by object: a large VM would hold the worker up for a tenth of a second.
  watch_.watchdog().chores().add([state] { lua_close(state); });
}

// lua_close runs all finalizers, the oldest object's last; then the allocator must be LuaJIT's own
// again, which gives everything back. So the oldest object is one whose finalizer detaches.
void Vm::keep_memory_for_finalizers() {
  *static_cast<Memory**>(lua_newuserdata(state_, sizeof(Memory*))) = &memory_;
  lua_newtable(state_);
  lua_pushcfunction(state_, [](lua_State* L) {
    (*static_cast<Memory**>(lua_touserdata(L, 1)))->detach(L);
    return 0;
  });
  lua_setfield(state_, -2, "__gc");
  lua_setmetatable(state_, -2);
  luaL_ref(state_, LUA_REGISTRYINDEX);
}

void* Vm::wait_mark() {
  return const_cast<char*>(&kWaitMark);
}

lua_State* Vm::take_thread() {
  if (!idle_threads_.empty()) {
    lua_State* thread = idle_threads_.back();
    idle_threads_.pop_back();
    return thread;
  }
  push_host_threads(state_);
  lua_State* thread = lua_newthread(state_);
  lua_pushboolean(state_, 1);
  lua_rawset(state_, -3);
  lua_pop(state_, 1);
  return thread;
}

void Vm::give_back_thread(lua_State* thread) {
  if (idle_threads_.size() >= kIdleThreads || (!large_runs_.empty() && held_much(thread))) {
    drop_thread(thread);
    return;
  }
  lua_settop(thread, 0);
  idle_threads_.push_back(thread);
}

void Vm::drop_thread(lua_State* thread) {
  std::erase(large_runs_, thread);
  push_host_threads(state_);
  lua_pushthread(thread);
  lua_xmove(thread, state_, 1);
  lua_pushnil(state_);
  lua_rawset(state_, -3);
  lua_pop(state_, 1);
}

Vm::Outcome Vm::resume(lua_State* thread, int arguments, Duration cpu_budget,
                       uint64_t sliced_from) {
  cpu_budget_ = std::max(cpu_budget, std::exchange(named_budget_, Duration::zero()));
  may_slice_ = sliced_from != 0 && !jit_;  // compiled code can be left nowhere
  sliced_ = wants_collection_ = false;
  charged_ns_ = 0;
  breach_ = Breach::None;
  running_ = thread;
  stack_top_ = static_cast<const char*>(__builtin_frame_address(0));
  memory_.enforce();
  watch_.begin(*this, cpu_budget, sliced_from);
  const int status = lua_resume(thread, arguments);
  watch_.end();
  memory_.relax();
  after_run();
  if (status == 0) return Outcome::Done;
  if (status == LUA_YIELD) {
    if (sliced_) return wants_collection_ ? Outcome::Collect : Outcome::Sliced;
    if (lua_gettop(thread) > 0 && lua_touserdata(thread, 1) == wait_mark()) {
      lua_remove(thread, 1);
      return Outcome::Waits;
    }
    lua_pushliteral(thread, "attempt to yield outside a coroutine");
    return Outcome::Failed;
  }
  if (status == LUA_ERRMEM && breach_ == Breach::None) {
    note_breach(thread, Breach::Memory, true);
  }
  return Outcome::Failed;
}

// The slots of a thread's stack still hold what its last run had there, and a frame of the next may
// keep it alive. So a thread that had much is not used again.
void Vm::note_large_run() {
  if (running_ != nullptr && !held_much(running_)) large_runs_.push_back(running_);
}

bool Vm::held_much(lua_State* thread) const {
  return std::ranges::find(large_runs_, thread) != large_runs_.end();
}

void Vm::after_run() {
  if (armed_.load(std::memory_order_relaxed)) disarm();
  const size_t used = memory_.used();
  if (used > collect_at_) [[unlikely]]
    collection_due_ = true;
  if (used > used_before_ + large_) [[unlikely]]
    note_large_run();
  used_before_ = used;
  set_pause();
}

void Vm::note_live() {
  live_ = memory_.used();
  const size_t cap = memory_.cap();
  collect_at_ = std::max(cap / 4, live_ + (cap - std::min(live_, cap)) / 2);
  collection_due_ = false;
  used_before_ = live_;
}

// LuaJIT's step goes on until it has paid its debt, which grows with every allocation and may be a
// full cycle's worth. In the smallest steps it is paid at little work.
void Vm::pay_debt() {
  lua_gc(state_, LUA_GCSETSTEPMUL, 1);
  if (lua_gc(state_, LUA_GCSTEP, 0) != 0 && cycles_left_ > 1) --cycles_left_;
  lua_gc(state_, LUA_GCSETSTEPMUL, kStepMul);
}

bool Vm::collect(Duration most) {
  // What died since the cycle under way had marked it is left to the next.
  if (cycles_left_ == 0) cycles_left_ = 2;
  const auto until =
      static_cast<uint64_t>(static_cast<double>(most.count()) / nanoseconds_per_tick());
  const uint64_t begin = ticks();
  pay_debt();
  do {
    if (lua_gc(state_, LUA_GCSTEP, 0) != 0 && --cycles_left_ == 0) {
      note_live();
      return true;
    }
  } while (ticks() - begin < until);
  return false;
}

// Inside a run that cannot wait for a collection: as much of one as nobody feels.
bool Vm::make_room(lua_State* L, size_t bytes) {
  const auto fits = [&] {
    return bytes <= memory_.cap() && memory_.used() <= memory_.cap() - bytes;
  };
  if (memory_.cap() <= kCollectAtOnce || !may_slice_) {
    lua_gc(L, LUA_GCCOLLECT, 0);
    return fits();
  }
  const auto most =
      static_cast<uint64_t>(static_cast<double>(kRoomMaking.count()) / nanoseconds_per_tick());
  const uint64_t begin = ticks();
  pay_debt();
  while (!fits() && ticks() - begin < most) lua_gc(L, LUA_GCSTEP, 0);
  return fits();
}

void Vm::set_pause() {
  const size_t used = memory_.used();
  const int pause = used > memory_.cap() / 2   ? kEagerPause
                    : used > memory_.cap() / 8 ? kNormalPause
                                               : kRoomyPause;
  if (pause == pause_) return;
  pause_ = pause;
  lua_gc(state_, LUA_GCSETPAUSE, pause);
}

std::string_view Vm::error_text(lua_State* thread) const {
  if (breach_ != Breach::None) return breach_text_;
  // No metamethod is called for it: __tostring is a script's and no budget guards it here.
  size_t size = 0;
  const int type = lua_type(thread, -1);
  if (type == LUA_TSTRING) {
    const char* text = lua_tolstring(thread, -1, &size);
    return {text, size};
  }
  if (type == LUA_TNUMBER) return "(error object is a number)";
  if (type == LUA_TTABLE) return "(error object is a table)";
  if (type == LUA_TNIL || type == LUA_TNONE) return "(error object is nil)";
  return "(error object is no string)";
}

void Vm::arm() {
  armed_.store(true, std::memory_order_relaxed);
  lua_sethook(state_, &Vm::on_hook, LUA_MASKCOUNT | LUA_MASKCALL, 1);
}

void Vm::slice() {
  if (!may_slice_) return;
  armed_.store(true, std::memory_order_relaxed);
  slice_due_.store(true, std::memory_order_relaxed);
  // Not at calls: LuaJIT cannot yield from there.
  if (!interrupted.load(std::memory_order_relaxed) && breach_ == Breach::None) {
    lua_sethook(state_, &Vm::on_hook, LUA_MASKCOUNT, 1);
  }
}

void Vm::disarm() {
  lua_sethook(state_, nullptr, 0, 0);
  slice_due_.store(false, std::memory_order_relaxed);
  armed_.store(false, std::memory_order_relaxed);
  interrupted.store(false, std::memory_order_relaxed);
  memory_.reset();
}

void Vm::on_hook(lua_State* L, lua_Debug* activation) {
  of(L).on_instruction(L, activation->event == LUA_HOOKCOUNT);
}

void Vm::on_instruction(lua_State* L, bool may_yield) {
  if (slice_due_.load(std::memory_order_relaxed) && breach_ == Breach::None &&
      !interrupted.load(std::memory_order_relaxed) && !memory_.met()) {
    // While one slice's end is on its way through the script's coroutines, no other may begin.
    if (!may_yield || sliced_) return;
    return lua_isyieldable(L) != 0 ? end_slice(L) : postpone_slice();
  }
  if (breach_ == Breach::None && !interrupted.load(std::memory_order_relaxed) &&
      !memory_.refused() && meet_memory_limit(L, may_yield)) {
    return;
  }
  raise_breach(L);
}

// False: the run ends.
bool Vm::meet_memory_limit(lua_State* L, bool may_yield) {
  if (memory_.cap() > kCollectAtOnce && may_slice_) {
    if (!may_yield || sliced_) return true;  // at the next instruction
    if (lua_isyieldable(L) != 0) {
      wants_collection_ = true;
      end_slice(L);
    }
  }
  if (!make_room(L, 0) || interrupted.load(std::memory_order_relaxed)) return false;
  memory_.enforce();
  lua_sethook(state_, nullptr, 0, 0);
  if (slice_due_.load(std::memory_order_relaxed)) slice();
  // The watchdog may have struck between the look at the flag and the lines above.
  if (interrupted.load(std::memory_order_relaxed)) arm();
  return true;
}

void Vm::end_slice(lua_State* L) {
  slice_due_.store(false, std::memory_order_relaxed);
  sliced_ = true;
  lua_sethook(state_, nullptr, 0, 0);
  lua_yield(L, 0);
}

// Inside a C function: try again a little later.
void Vm::postpone_slice() {
  sliced_ = false;
  slice_due_.store(true, std::memory_order_relaxed);
  armed_.store(true, std::memory_order_relaxed);
  lua_sethook(state_, &Vm::on_hook, LUA_MASKCOUNT, 1000);
  // The watchdog may have struck between the look at the flag and the line above.
  if (interrupted.load(std::memory_order_relaxed)) arm();
}

Vm::PassOn Vm::pass_on(lua_State* L) {
  if (!sliced_) return PassOn::Not;
  if (lua_isyieldable(L) != 0) return PassOn::Yield;
  postpone_slice();
  return PassOn::GoOn;
}

void Vm::raise_breach(lua_State* L) {
  if (breach_ == Breach::None) {
    note_breach(L, interrupted.load(std::memory_order_relaxed) ? Breach::Cpu : Breach::Memory);
  }
  // The hook stays armed, so whoever catches this meets it again at the next instruction.
  lua_pushstring(L, breach_text_);
  lua_error(L);
  __builtin_unreachable();
}

void Vm::note_breach(lua_State* L, Breach breach, bool line_is_lost) {
  breach_ = breach;
  char place[128];
  const char* addition = "";
  if (line_is_lost) {
    where_begun(L, place, sizeof place);
    if (place[0] != '\0') addition = " in the function that begins there";
  } else {
    where(L, place, sizeof place);
  }
  if (place[0] == '\0') std::snprintf(place, sizeof place, "%s: ", name_.c_str());
  if (breach == Breach::Cpu) {
    std::snprintf(breach_text_, sizeof breach_text_, "%sCPU budget of %s exceeded", place,
                  duration_text(cpu_budget_).c_str());
  } else {
    std::snprintf(breach_text_, sizeof breach_text_, "%smemory budget of %s exceeded%s", place,
                  size_text(memory_.cap()).c_str(), addition);
  }
}

void Vm::reserve(lua_State* L, size_t bytes) {
  if (bytes > large_) note_large_run();  // even where as much of other garbage makes room
  const bool fits = bytes <= memory_.cap() && memory_.used() <= memory_.cap() - bytes;
  if (fits || !watch_.running()) [[likely]]
    return;
  if (bytes > memory_.cap() || !make_room(L, bytes)) raise_memory(L);
}

void Vm::raise_memory(lua_State* L) {
  note_breach(L, Breach::Memory);
  arm();
  raise_breach(L);
}

// Called from inside an allocation, where nothing of the VM may be looked at: compiled code keeps
// the stack in registers, and the thread that allocates need not be the host's. The hook finds the
// place.
void Vm::on_memory_limit() {
  arm();
}

std::string Vm::place_of(lua_State* thread) const {
  char place[128];
  where(thread, place, sizeof place);
  return place[0] == '\0' ? name_ + ": " : std::string(place);
}

std::string_view Vm::describe_memory_breach(lua_State* thread) {
  note_breach(thread, Breach::Memory);
  return breach_text_;
}

std::string_view Vm::describe_cpu_breach(lua_State* thread, Duration budget) {
  cpu_budget_ = budget;
  note_breach(thread, Breach::Cpu);
  return breach_text_;
}

}  // namespace tidegate::script
