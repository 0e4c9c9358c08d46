// SPDX-License-Identifier: Apache-2.0
#include "base/keyed_hash.h"

#include <bit>
#include <cstring>
#include <random>

namespace tidegate {
namespace {

struct SipState {
  uint64_t a, b, c, d;

  void round() {
    a += b;
    b = std::rotl(b, 13) ^ a;
    a = std::rotl(a, 32);
    c += d;
    d = std::rotl(d, 16) ^ c;
    a += d;
    d = std::rotl(d, 21) ^ a;
    c += b;
    b = std::rotl(b, 17) ^ c;
    c = std::rotl(c, 32);
  }
  void take(uint64_t word) {
    d ^= word;
    round();
    round();
    a ^= word;
  }
};

uint64_t random_word(std::random_device& device) {
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

KeyedHash::KeyedHash() {
  std::random_device device;
  key0_ = random_word(device);
  key1_ = random_word(device);
}

uint64_t KeyedHash::operator()(std::string_view text) const {
  SipState state{key0_ ^ 0x736f6d6570736575ULL, key1_ ^ 0x646f72616e646f6dULL,
                 key0_ ^ 0x6c7967656e657261ULL, key1_ ^ 0x7465646279746573ULL};
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    state.take(word);
  }
  uint64_t last = uint64_t{text.size()} << 56;
  for (size_t i = 0; i < left; ++i) last |= uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
  state.take(last);
  state.c ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.a ^ state.b ^ state.c ^ state.d;
}

}  // namespace tidegate
