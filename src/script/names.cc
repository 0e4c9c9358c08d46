// SPDX-License-Identifier: Apache-2.0
#include "script/names.h"

#include <array>

#include "base/strings.h"
#include "script/fields.h"

namespace tidegate::script {
namespace {

using http::HeaderId;

constexpr std::array<const char*, 5> kMethods{nullptr, "all", "add", "each", "count"};

constexpr size_t kFieldSlots = 128;
constexpr size_t kHeaderSlots = 1024;
constexpr size_t kMaxKept = 256;  // bytes of a name

bool is_framing(HeaderId id) {
  switch (id) {
    case HeaderId::ContentLength:
    case HeaderId::TransferEncoding:
    case HeaderId::Connection:
    case HeaderId::KeepAlive:
    case HeaderId::ProxyConnection:
    case HeaderId::Te:
    case HeaderId::Upgrade:
    case HeaderId::Http2Settings:
      return true;
    default:
      return false;
  }
}

HeaderName describe(std::string_view lower) {
  HeaderName header;
  header.name = lower;
  header.id = http::header_id(lower);
  if (header.id != HeaderId::Other) header.name = http::name_of(header.id);
  header.token = is_token(lower);
  header.framing = is_framing(header.id);
  return header;
}

}  // namespace

Names::Names(lua_State* L) : fields_(kFieldSlots), headers_(kHeaderSlots) {
  lua_newtable(L);
  for (size_t i = 1; i < static_cast<size_t>(Field::Count_); ++i) {
    lua_pushstring(L, name_of(static_cast<Field>(i)));
    fields_.add(lua_topointer(L, -1), static_cast<Field>(i));
    lua_rawseti(L, -2, static_cast<int>(i));
  }
  anchor_ = luaL_ref(L, LUA_REGISTRYINDEX);
  for (size_t i = 1; i < kMethods.size(); ++i) {
    lua_pushstring(L, kMethods[i]);
    remember(L, lua_gettop(L)).method = static_cast<uint8_t>(i);
    lua_pop(L, 1);
  }
}

HeaderName& Names::remember(lua_State* L, int index) {
  // The anchor first: it may fail for want of memory, and then nothing has changed.
  lua_rawgeti(L, LUA_REGISTRYINDEX, anchor_);
  lua_pushvalue(L, index);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  size_t size;
  const char* text = lua_tolstring(L, index, &size);
  HeaderName& header =
      list_.emplace_back(describe(texts_.emplace_back(ascii_lower(std::string_view(text, size)))));
  headers_.add(lua_topointer(L, index), &header);
  return header;
}

const HeaderName* Names::learn_header(lua_State* L, int index) {
  if (headers_.full() || lua_objlen(L, index) > kMaxKept) return nullptr;
  return &remember(L, index);
}

HeaderName Names::describe_header(std::string_view lower) {
  return describe(lower);
}

}  // namespace tidegate::script
