// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tidegate::fuzz {

/// `bytes` cut at places that depend on them, so that the fuzzer moves the cuts with every mutation
/// and an input that fails fails again. `salt` gives other cuts of the same bytes.
inline std::vector<std::string_view> split(std::string_view bytes, uint32_t salt) {
  uint32_t state = 2166136261u ^ salt;
  for (const char c : bytes) state = (state ^ static_cast<uint8_t>(c)) * 16777619u;
  std::vector<std::string_view> pieces;
  while (!bytes.empty()) {
    state = state * 1664525u + 1013904223u;
    // Short and long pieces alike.
    const size_t most = (state >> 28) % 2 == 0 ? 7 : bytes.size();
    const size_t size = 1 + (state >> 8) % most;
    pieces.push_back(bytes.substr(0, size));
    bytes.remove_prefix(pieces.back().size());
  }
  return pieces;
}

}  // namespace tidegate::fuzz
