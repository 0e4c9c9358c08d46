// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>

#include "script/lua.h"

namespace tidegate::script {

/// The memory budget of one VM: stands between LuaJIT and its allocator, and counts. Enforced only
/// while a script runs, so that the proxy's own calls into the VM do not fail.
///
///       0 ───────────── cap ──────── hard
///         free use       │            └ refused at once ("not enough memory")
///                        └ `arm` is called; the VM collects at the next instruction, and
///                          ends the run if that did not help
class Memory {
 public:
  using Arm = void (*)(void* owner);  // must neither look at the Lua stack nor allocate

  Memory(size_t cap, Arm arm, void* owner);
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Takes the place of the allocator of `L`.
  void attach(lua_State* L);
  /// Gives it back; before lua_close frees the state. No C function that asks for the VM may run
  /// from here on.
  void detach(lua_State* L);

  void* owner() const { return owner_; }
  size_t used() const { return used_; }
  size_t cap() const { return cap_; }
  void enforce() { limit_ = cap_; }
  void relax() { limit_ = SIZE_MAX; }
  /// The cap was met in this run, and `arm` called.
  bool met() const { return limit_ == hard_; }
  /// An allocation was refused since the last `reset`.
  bool refused() const { return refused_; }
  void reset() { refused_ = false; }

 private:
  static void* allocate(void* self, void* block, size_t old_size, size_t new_size);
  bool may_grow_to(size_t bytes);

  size_t used_ = 0;
  size_t limit_ = SIZE_MAX;
  const size_t cap_;
  const size_t hard_;
  bool refused_ = false;
  lua_Alloc below_ = nullptr;
  void* below_data_ = nullptr;
  Arm arm_;
  void* owner_;
};

}  // namespace tidegate::script
