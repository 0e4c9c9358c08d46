// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstring>
#include <string_view>

#include "script/vm.h"

namespace tidegate::script {

/// Builds a string for a script, in memory of the VM, so that its budget holds and a Lua error can
/// pass over it. Takes one slot of the Lua stack, where it stood when made.
class Buffer {
 public:
  explicit Buffer(lua_State* L) : L_(L) {
    lua_pushnil(L);
    slot_ = lua_gettop(L);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  size_t size() const { return size_; }
  std::string_view view() const { return {data_, size_}; }

  /// Room for `more` bytes; write there, then `commit`.
  char* reserve(size_t more) {
    if (size_ + more > capacity_) grow(size_ + more);
    return data_ + size_;
  }
  void commit(size_t written) { size_ += written; }
  void append(char c) { *reserve(1) = c, ++size_; }
  void append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(reserve(text.size()), text.data(), text.size());
    size_ += text.size();
  }
  /// Appends the string or number on top of the stack and pops it.
  void append_top() {
    size_t size;
    const char* text = lua_tolstring(L_, -1, &size);
    append(std::string_view(text, size));
    lua_pop(L_, 1);
  }
  void push() { lua_pushlstring(L_, data_, size_); }

 private:
  void grow(size_t need) {
    size_t capacity = capacity_ * 2;
    if (capacity < need) capacity = need;
    Vm::of(L_).reserve(L_, capacity);
    char* data = static_cast<char*>(lua_newuserdata(L_, capacity));
    std::memcpy(data, data_, size_);
    lua_replace(L_, slot_);
    data_ = data;
    capacity_ = capacity;
  }

  lua_State* L_;
  int slot_;
  char inline_[256];
  char* data_ = inline_;
  size_t size_ = 0;
  size_t capacity_ = sizeof inline_;
};

}  // namespace tidegate::script
