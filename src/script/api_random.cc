// SPDX-License-Identifier: Apache-2.0
// proxy.uuid(), proxy.random_bytes(n), proxy.secure_equals(a, b).
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "script/api.h"
#include "script/arguments.h"
#include "script/buffer.h"

namespace tidegate::script {
namespace {

constexpr ApiFunction kRandomBytes{"proxy.random_bytes"};
constexpr ApiFunction kSecureEquals{"proxy.secure_equals"};

constexpr lua_Number kMaxRandom = 65536;

// The kernel's generator, a piece at a time for small requests: a system call per uuid would cost
// more than the rest of the hook. One per worker.
class RandomBytes {
 public:
  void take(lua_State* L, char* to, size_t size) {
    if (size > pool_.size()) return fill(L, to, size);
    if (size > left_) {
      fill(L, pool_.data(), pool_.size());
      left_ = pool_.size();
    }
    left_ -= size;
    std::memcpy(to, pool_.data() + left_, size);
    std::memset(pool_.data() + left_, 0, size);
  }

 private:
  static void fill(lua_State* L, char* to, size_t size) {
    for (size_t done = 0; done < size;) {
      const ssize_t got = getrandom(to + done, size - done, 0);
      if (got > 0) done += static_cast<size_t>(got);
      if (got < 0 && errno != EINTR) raise(L, "the kernel gives no random bytes");
    }
  }

  std::array<char, 512> pool_;
  size_t left_ = 0;
};
thread_local RandomBytes t_random;

int random_bytes(lua_State* L) {
  const lua_Number size = number_argument(L, kRandomBytes, 1);
  if (!(size >= 0 && size <= kMaxRandom)) raise(L, "a size from 0 to 65536 is expected");
  Buffer result(L);
  const auto bytes = static_cast<size_t>(size);
  t_random.take(L, result.reserve(bytes), bytes);
  result.commit(bytes);
  result.push();
  return 1;
}

// RFC 9562, version 4.
int uuid(lua_State* L) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 16> bytes;
  t_random.take(L, bytes.data(), bytes.size());
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::array<char, 36> text;
  char* to = text.data();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = kDigits[static_cast<unsigned char>(bytes[i]) >> 4];
    *to++ = kDigits[static_cast<unsigned char>(bytes[i]) & 15];
  }
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

// Compares secrets: the time it takes depends on the length of `a` only.
int secure_equals(lua_State* L) {
  constexpr size_t kPiece = 4096;
  const std::string_view a = text_argument(L, kSecureEquals, 1);
  std::string_view b = text_argument(L, kSecureEquals, 2);
  const bool same_size = a.size() == b.size();
  if (!same_size) b = a;
  Vm& vm = Vm::of(L);
  unsigned difference = same_size ? 0 : 1;
  for (size_t at = 0; at < a.size(); at += kPiece) {
    vm.check(L);
    const size_t end = std::min(at + kPiece, a.size());
    for (size_t i = at; i < end; ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  }
  lua_pushboolean(L, difference == 0 ? 1 : 0);
  return 1;
}

}  // namespace

void add_random_api(lua_State* L) {
  static const luaL_Reg kFunctions[] = {{"random_bytes", random_bytes},
                                        {"uuid", uuid},
                                        {"secure_equals", secure_equals},
                                        {nullptr, nullptr}};
  luaL_register(L, nullptr, kFunctions);
}

}  // namespace tidegate::script
