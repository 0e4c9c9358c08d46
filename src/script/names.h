// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "http/header_id.h"
#include "script/handle.h"

namespace tidegate::script {

/// Finds what belongs to a Lua string by its address, as lua_topointer gives it: equal strings of
/// one VM are one object, and no other value has its address. The strings it knows must be anchored
/// in the VM. One look-up costs less than asking for the value's type and text.
template <class Value>
class StringMap {
 public:
  explicit StringMap(size_t slots) : slots_(slots) {}  // a power of two, twice the entries

  Value find(const void* string) const {
    for (size_t i = start(string);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].string == string) return slots_[i].value;
      if (slots_[i].string == nullptr) return Value{};
    }
  }
  bool full() const { return used_ * 2 >= slots_.size(); }
  void add(const void* string, Value value) {
    size_t i = start(string);
    while (slots_[i].string != nullptr) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {string, value};
    ++used_;
  }

 private:
  struct Slot {
    const void* string = nullptr;
    Value value{};
  };
  size_t start(const void* string) const {
    const auto bits = reinterpret_cast<uintptr_t>(string) >> 3;
    return ((bits * 0x9e3779b97f4a7c15ULL) >> 40) & (slots_.size() - 1);
  }
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

/// A header name that a script used.
struct HeaderName {
  std::string_view name;  // lower case
  http::HeaderId id = http::HeaderId::Other;
  bool token = false;    // can be the name of a field
  bool framing = false;  // belongs to the proxy: a script cannot set it
  uint8_t method = 0;    // headers:add and the like: its number, see handle_headers.cc
};

/// What one VM knows of the strings that its scripts use as keys.
class Names {
 public:
  explicit Names(lua_State* L);
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;

  /// Of whatever value stands at `index`.
  Field field(lua_State* L, int index) const { return fields_.find(lua_topointer(L, index)); }
  /// The same; nullptr: it is no string, or none that has been a header's name yet.
  const HeaderName* known_header(lua_State* L, int index) const {
    return headers_.find(lua_topointer(L, index));
  }
  /// Of a string that known_header does not know: keeps it, for as long as the VM. nullptr: it is
  /// longer than names are, or there are many already.
  const HeaderName* learn_header(lua_State* L, int index);
  /// Of such a one; `lower` is it in lower case.
  static HeaderName describe_header(std::string_view lower);

 private:
  HeaderName& remember(lua_State* L, int index);

  StringMap<Field> fields_;
  StringMap<const HeaderName*> headers_;
  std::deque<HeaderName> list_;
  std::deque<std::string> texts_;
  int anchor_ = 0;  // registry reference of the table that keeps the strings
};

}  // namespace tidegate::script
