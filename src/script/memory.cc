// SPDX-License-Identifier: Apache-2.0
#include "script/memory.h"

#include <algorithm>

namespace tidegate::script {
namespace {

// Room above the cap for what one instruction allocates before the collection gets its turn.
constexpr size_t slack(size_t cap) {
  return std::max<size_t>(cap / 4, 256 * 1024);
}

}  // namespace

Memory::Memory(size_t cap, Arm arm, void* owner)
    : cap_(cap), hard_(cap + slack(cap)), arm_(arm), owner_(owner) {}

void Memory::attach(lua_State* L) {
  below_ = lua_getallocf(L, &below_data_);
  used_ = static_cast<size_t>(lua_gc(L, LUA_GCCOUNT, 0)) * 1024 +
          static_cast<size_t>(lua_gc(L, LUA_GCCOUNTB, 0));
  lua_setallocf(L, &Memory::allocate, this);
}

void Memory::detach(lua_State* L) {
  lua_setallocf(L, below_, below_data_);
}

void* Memory::allocate(void* self, void* block, size_t old_size, size_t new_size) {
  auto& memory = *static_cast<Memory*>(self);
  if (new_size > old_size) {
    const size_t after = memory.used_ + (new_size - old_size);
    if (after > memory.limit_ && !memory.may_grow_to(after)) return nullptr;
  }
  void* result = memory.below_(memory.below_data_, block, old_size, new_size);
  if (result != nullptr || new_size == 0) memory.used_ += new_size - old_size;
  return result;
}

bool Memory::may_grow_to(size_t bytes) {
  arm_(owner_);
  if (bytes > hard_) {
    refused_ = true;
    return false;
  }
  limit_ = hard_;  // armed once is enough
  return true;
}

}  // namespace tidegate::script
