// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>

namespace tidegate {

/// 64-bit hash of texts under a secret key (SipHash-2-4), so that nobody outside can make texts
/// that collide. Each object draws a key of its own from the kernel. Immutable afterwards: any
/// thread.
class KeyedHash {
 public:
  KeyedHash();
  KeyedHash(uint64_t key0, uint64_t key1) : key0_(key0), key1_(key1) {}
  uint64_t operator()(std::string_view text) const;

 private:
  uint64_t key0_;
  uint64_t key1_;
};

}  // namespace tidegate
